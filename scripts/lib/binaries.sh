# shellcheck shell=bash
# Where the programs of the control plane come from.  Needs common.sh and go.sh.
#
# For each program, in this order: $KUBEBUILDER_ASSETS and PATH (if the version is
# right), our cache, the official release (checksum verified), Go modules.

KUBE_VERSION=v1.37.2
ETCD_VERSION=v3.7.3
PROGRAMS=(etcd kube-apiserver kube-controller-manager kube-scheduler kubectl)
KUBE_DOWNLOAD_URL=${MOCKCLOUD_KUBE_DOWNLOAD_URL:-https://dl.k8s.io}
ETCD_DOWNLOAD_URL=${MOCKCLOUD_ETCD_DOWNLOAD_URL:-https://github.com/etcd-io/etcd/releases/download}

declare -A binary=()      # program -> path, filled by find_binaries
declare -A unreachable=() # download URL -> it failed once, do not wait again

# cached <program>: its place in the cache, whether it is there or not
cached() {
  if [[ $1 == etcd ]]; then
    echo "$(cache_dir)/etcd/$ETCD_VERSION/etcd"
  else
    echo "$(cache_dir)/kubernetes/$KUBE_VERSION/$1"
  fi
}

wanted_version() { if [[ $1 == etcd ]]; then echo "$ETCD_VERSION"; else echo "$KUBE_VERSION"; fi; }

# version_of <program> <path>: what it says of itself, as vX.Y.Z
version_of() {
  local output
  case $1 in
    kubectl) output=$(timeout 10 "$2" version --client 2>/dev/null) ;;
    *) output=$(timeout 10 "$2" --version 2>/dev/null) ;;
  esac || return 1
  [[ $output =~ v?([0-9]+\.[0-9]+\.[0-9][^[:space:]]*) ]] && echo "v${BASH_REMATCH[1]}"
}

# from_path <program>: in KUBEBUILDER_ASSETS, then PATH
from_path() {
  local path version
  for path in ${KUBEBUILDER_ASSETS:+"$KUBEBUILDER_ASSETS/$1"} "$(type -P "$1")"; do
    [[ -x $path ]] || continue
    version=$(version_of "$1" "$path") || version='an unknown version'
    if [[ $version == "$(wanted_version "$1")" ]]; then
      binary[$1]=$path
      return
    fi
    say "  $path is $version, not $(wanted_version "$1"): skipped"
  done
  return 1
}

from_cache() {
  local path
  path=$(cached "$1")
  [[ -x $path ]] && binary[$1]=$path
}

# into_cache <file> <program>: in one step, so that no one sees half of it
into_cache() {
  local path
  path=$(cached "$2")
  mkdir -p "${path%/*}" && chmod 755 "$1" && mv "$1" "$path" && binary[$2]=$path
}

# from_download <program>
from_download() {
  local base=$KUBE_DOWNLOAD_URL work
  [[ $1 == etcd ]] && base=$ETCD_DOWNLOAD_URL
  [[ -z ${unreachable[$base]-} ]] || return 1
  if ! type -P curl >/dev/null; then
    say '  curl is missing: no download'
    return 1
  fi
  mkdir -p "$(cache_dir)/download" && work=$(mktemp -d "$(cache_dir)/download/XXXXXX") || return 1
  say "  $1: download from $base"
  if "download_$([[ $1 == etcd ]] && echo etcd || echo kube)" "$base" "$work" "$1"; then
    into_cache "$work/$1" "$1"
  else
    unreachable[$base]=yes
  fi
  rm -rf "$work"
  [[ -n ${binary[$1]-} ]]
}

# download_kube <base> <work directory> <program>
download_kube() {
  local url
  url=$1/release/$KUBE_VERSION/bin/linux/$(architecture)/$3
  fetch "$url.sha256" "$2/sha256" || return 1
  fetch_checked "$url" "$2/$3" "$(cut -d ' ' -f 1 "$2/sha256" | head -n 1)"
}

# download_etcd <base> <work directory> etcd
download_etcd() {
  local name url=$1/$ETCD_VERSION
  name=etcd-$ETCD_VERSION-linux-$(architecture)
  fetch "$url/SHA256SUMS" "$2/sums" || return 1
  fetch_checked "$url/$name.tar.gz" "$2/etcd.tar.gz" \
    "$(awk -v name="$name.tar.gz" '$2 == name || $2 == "*" name {print $1}' "$2/sums")" || return 1
  tar -xzf "$2/etcd.tar.gz" -C "$2" --strip-components=1 "$name/etcd"
}

# from_build <program>: out of Go modules; the modules' checksums are Go's affair
from_build() {
  local go build out
  if ! go=$(find_go); then
    say "  Go $GO_MINIMUM or newer is missing: cannot build $1 (scripts/deps go installs it)"
    return 1
  fi
  build=$(cache_dir)/build/$([[ $1 == etcd ]] && echo etcd || echo kubernetes)
  mkdir -p "$build"
  (
    exec 8>"$build/.lock"
    flock 8 # another run may be at it: it is then in the cache
    [[ ! -x $(cached "$1") ]] || exit 0
    say "  $1 $(wanted_version "$1"): built from Go modules (the first time takes minutes)"
    cd "$build" || exit 1
    export CGO_ENABLED=0 GOTOOLCHAIN=${GOTOOLCHAIN:-auto} GOWORK=off
    out=$build/$1.new
    rm -f "$out"
    if [[ $1 == etcd ]]; then
      build_etcd "$go" "$out"
    else
      build_kube "$go" "$1" "$out"
    fi && into_cache "$out" "$1"
  ) 8>&- || {
    say "  building $1 from Go modules failed"
    return 1
  }
  from_cache "$1"
}

# new_module <go> <name> <path> <version>: a module that requires another one
new_module() {
  local published
  rm -f go.mod go.sum
  "$1" mod init "mockcloud.dev/build/$2" 2>/dev/null &&
    "$1" mod download "$3@$4" || return 1
  published=$("$1" env GOMODCACHE)/cache/download/$3/@v/$4.mod
  # its Go version, so that an older Go fetches the right one by itself
  "$1" mod edit -require "$3@$4" -go "$(awk '$1 == "go" {print $2}' "$published")" &&
    "$1" mod edit -toolchain none && cp "$published" published.mod
}

# go_build <go> <arguments>: shows what goes on, in one line where there is a terminal
go_build() {
  local go=$1 packages=0 line status
  shift
  "$go" build -mod=mod -trimpath -v "$@" 2>&1 | while IFS= read -r line; do
    if [[ $line == *' '* && $line != 'go: '* ]]; then
      say "$line" # an error
    else
      packages=$((packages + 1))
      if [[ -t 2 ]]; then
        printf '\r    %5d  %-60.60s' "$packages" "$line" >&2
      elif ((packages % 250 == 0)); then
        say "    $packages packages and downloads"
      fi
    fi
  done
  status=${PIPESTATUS[0]}
  [[ ! -t 2 ]] || printf '\r%70s\r' '' >&2
  return "$status"
}

# build_etcd <go> <output>
build_etcd() {
  new_module "$1" etcd go.etcd.io/etcd/server/v3 "$ETCD_VERSION" &&
    go_build "$1" -ldflags '-s -w' -o "$2" go.etcd.io/etcd/server/v3
}

# build_kube <go> <program> <output>
# Kubernetes names its libraries at paths inside its repository; they are
# published, for v1.x.y, as v0.x.y.
build_kube() {
  local version=k8s.io/component-base/version replace
  new_module "$1" kubernetes k8s.io/kubernetes "$KUBE_VERSION" || return 1
  mapfile -t replace < <(awk -v version="v0${KUBE_VERSION#v1}" '
    $1 == "replace" {$1 = ""; $0 = $0}
    $2 == "=>" && $3 ~ /^\.\// {print "-replace=" $1 "=" $1 "@" version}' published.mod)
  "$1" mod edit "${replace[@]}" &&
    go_build "$1" -ldflags "-s -w -X $version.gitVersion=$KUBE_VERSION -X $version.gitMajor=1
      -X $version.gitMinor=$(cut -d . -f 2 <<<"$KUBE_VERSION")" \
      -o "$3" "k8s.io/kubernetes/cmd/$2"
}

# find_binaries <source>...: fills ${binary[…]} for every program, or dies
find_binaries() {
  local item source
  for item in "${PROGRAMS[@]}"; do
    for source in "$@"; do
      [[ $source == path ]] || cache_dir >/dev/null || exit
      "from_$source" "$item" && break
    done
    [[ -n ${binary[$item]-} ]] ||
      die "$item $(wanted_version "$item") cannot be had from: $*"
  done
}
