#!/usr/bin/env bash
# scripts/control-plane: where its programs come from (with tiny stand-ins and a
# local web server), what it refuses, and real ups and downs, crashes included.
#
# Usage: test_control_plane.sh [fake|real]     (default: both; real needs the programs)
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script=$here/../../scripts/control-plane
# shellcheck source=tests/scripts/check.sh
source "$here/check.sh"
server=

clean_up() {
  local plane
  [[ -z $server ]] || kill "$server" 2>/dev/null
  for plane in "$work"/planes/*.lock; do
    [[ -e $plane ]] && "$script" down --state-dir "${plane%.lock}" 2>/dev/null
  done
  rm -rf "$work"
}
trap clean_up EXIT

# run <arguments>: control-plane, its output in a file and its exit code in $code
run() {
  "$script" "$@" >"$work/output" 2>&1
  code=$?
}
says() { grep -qE -- "$1" "$work/output"; }
# only_says <text>: one line with the text
only_says() { [[ $(wc -l <"$work/output") == 1 ]] && says "$1"; }
# refused <text>: exit code 2, and one line with the text
refused() { [[ $code == 2 ]] && only_says "$1"; }
# gone <pid>...: none of them runs (what nobody has waited for yet does not count)
gone() {
  local pid
  for pid in "$@"; do [[ ! -s /proc/$pid/cmdline ]] || ! tr '\0' x <"/proc/$pid/cmdline" | grep -q . || return 1; done
}

# ---- stand-ins ----------------------------------------------------------------------------------

# fake <directory> <Kubernetes version> <etcd version>: five programs that tell their version
fake() {
  local item
  mkdir -p "$1"
  for item in kube-apiserver kube-controller-manager kube-scheduler; do
    printf '#!/bin/sh\necho "Kubernetes %s"\n' "$2" >"$1/$item"
  done
  printf '#!/bin/sh\necho "Client Version: %s"\n' "$2" >"$1/kubectl"
  printf '#!/bin/sh\necho "etcd Version: %s"\n' "${3#v}" >"$1/etcd"
  chmod +x "$1"/*
}

# release: a web site with the official releases of stand-ins
release() {
  local bin=$work/site/release/v1.37.2/bin/linux/$arch item
  local etcd=$work/site/v3.7.3/etcd-v3.7.3-linux-$arch
  fake "$bin" v1.37.2 v3.7.3
  mkdir -p "$etcd"
  mv "$bin/etcd" "$etcd/etcd"
  for item in "$bin"/*; do sha256sum <"$item" | cut -d ' ' -f 1 >"$item.sha256"; done
  tar -C "${etcd%/*}" -czf "$etcd.tar.gz" "${etcd##*/}"
  (cd "${etcd%/*}" && sha256sum -- *.tar.gz >SHA256SUMS)
}

serve() {
  python3 -u -m http.server --bind 127.0.0.1 --directory "$work/site" 0 >"$work/http" 2>&1 &
  server=$!
  until port=$(grep -oE 'port [0-9]+' "$work/http"); do sleep 0.05; done
  port=${port#port }
}

# fake_go <directory> <what build does, with $out>
fake_go() {
  mkdir -p "$1"
  cat >"$1/go" <<END
#!/bin/bash
modules=$work/modules/cache/download
case "\$*" in
  'env GOVERSION') echo go1.26.8 ;;
  'env GOMODCACHE') echo $work/modules ;;
  'mod download '*)
    name=\${3%@*} version=\${3#*@}
    mkdir -p "\$modules/\$name/@v"
    echo 'go 1.26.0' >"\$modules/\$name/@v/\$version.mod" ;;
  build*)
    while [ "\$1" != -o ]; do shift; done
    out=\$2
    $2 ;;
esac
END
  chmod +x "$1/go"
}

fakes() {
  local bin=$work/bin cache=$work/cache/mockcloud began pid
  arch=$(uname -m)
  arch=${arch/x86_64/amd64} arch=${arch/aarch64/arm64}
  export PATH=$bin:$PATH XDG_CACHE_HOME=$work/cache
  release
  serve
  export MOCKCLOUD_KUBE_DOWNLOAD_URL=http://127.0.0.1:$port
  export MOCKCLOUD_ETCD_DOWNLOAD_URL=http://127.0.0.1:$port

  fake "$bin" v1.36.0 v3.7.3
  run binaries --sources path,cache
  check 'a program of a wrong version in PATH is skipped with a message' \
    says "$bin/kube-apiserver is v1.36.0, not v1.37.2: skipped"
  check 'what cannot be had is named, with where it was looked for' \
    says '^control-plane: kube-apiserver v1.37.2 cannot be had from: path cache$'
  check 'and the exit code is 1' is "$code" 1

  run binaries --sources path,cache,download
  check 'programs are downloaded where PATH and cache have none' \
    says "kube-scheduler +$cache/kubernetes/v1.37.2/kube-scheduler"
  check 'a program of the right version in PATH goes before a download' says "etcd +$bin/etcd"
  touch "$work/file"
  XDG_CACHE_HOME=$work/file run binaries --sources path,cache,download
  check 'into a cache that cannot be written nothing is downloaded' not says 'download from|curl'
  check 'which is an error' is "$code" 1
  rm "$bin/etcd"
  run binaries --sources path,cache,download
  check 'etcd is downloaded and unpacked' says "etcd +$cache/etcd/v3.7.3/etcd"
  check 'a downloaded program is in the cache, whole' \
    cmp -s "$cache/kubernetes/v1.37.2/kubectl" "$work/site/release/v1.37.2/bin/linux/$arch/kubectl"
  check 'a download leaves nothing else behind' is "$(ls -A "$cache/download")" ''
  kill "$server"
  wait "$server" 2>/dev/null
  run binaries --sources path,cache,download
  check 'the cache goes before a download' is "$code" 0
  rm -rf "$cache"
  began=$SECONDS
  run binaries --sources download
  check 'a download site that is down is given up soon' test $((SECONDS - began)) -lt 60
  check 'and is asked only once' is "$(grep -c 'download from' "$work/output")" 1
  serve
  export MOCKCLOUD_KUBE_DOWNLOAD_URL=http://127.0.0.1:$port
  export MOCKCLOUD_ETCD_DOWNLOAD_URL=http://127.0.0.1:$port

  fake "$bin" v1.37.2 v3.7.3
  fake "$work/assets" v1.37.2 v3.7.3
  run binaries
  check 'PATH goes before cache and download' says "kubectl +$bin/kubectl"
  KUBEBUILDER_ASSETS=$work/assets run binaries
  check 'KUBEBUILDER_ASSETS goes before PATH' says "kubectl +$work/assets/kubectl"
  rm -rf "$work/assets" "${bin:?}"/*

  echo '# changed' >>"$work/site/release/v1.37.2/bin/linux/$arch/kube-apiserver"
  run binaries --sources cache,download
  check 'a download whose checksum is wrong is refused' says 'checksum of .*/kube-apiserver does not match: not used'
  check 'and is not in the cache' not test -e "$cache/kubernetes/v1.37.2/kube-apiserver"
  : >"$work/site/release/v1.37.2/bin/linux/$arch/kube-apiserver.sha256"
  run binaries --sources cache,download
  check 'a download without a checksum is refused' says 'no valid checksum for .*/kube-apiserver: not used'
  echo x >>"$work/site/v3.7.3/etcd-v3.7.3-linux-$arch.tar.gz"
  rm -rf "$cache/etcd"
  run binaries --sources cache,download
  check 'an etcd whose checksum is wrong is refused' says 'checksum of .*/etcd-v3.7.3.* does not match: not used'
  MOCKCLOUD_ETCD_DOWNLOAD_URL=http://192.0.2.1 run binaries --sources download
  check 'plain HTTP beyond this machine is refused' says 'Protocol "?http"? '

  rm -rf "$cache"
  # shellcheck disable=SC2016 # for the stand-in
  fake_go "$bin" 'echo half >$out; sleep 120'
  setsid "$script" binaries --sources cache,build >"$work/output" 2>&1 & # so that it is killed with all its children
  pid=$!
  until [[ -e $cache/build/etcd/etcd.new ]]; do sleep 0.05; done
  kill -9 -- "-$pid"
  wait "$pid" 2>/dev/null
  check 'a build that is interrupted leaves no half program in the cache' \
    not test -e "$cache/etcd/v3.7.3/etcd"
  # shellcheck disable=SC2016
  fake_go "$bin" 'sleep 0.1; echo "# built" >$out'
  run binaries --sources path,cache,download,build
  check 'where a download fails, the program is built from Go modules' \
    grep -q built "$cache/etcd/v3.7.3/etcd"
  check 'every program has been had' is "$code" 0
  fake_go "$bin" 'exit 1'
  run binaries --sources cache,build
  check 'a built program is cached' is "$code" 0
  rm -rf "$cache"
  run binaries --sources cache,build
  check 'a build that fails is an error' says 'etcd v3.7.3 cannot be had from: cache build'
  kill "$server"
  server=
}

# ---- what it refuses ----------------------------------------------------------------------------

refusals() {
  local sleeper
  run up --no-such-flag x
  check 'an unknown flag is named' refused 'unknown flag --no-such-flag'
  run up --profile
  check 'a flag without its value is named' refused '--profile needs a value'
  run up --profile=quick
  check 'a wrong profile is named' refused "--profile: 'quick'"
  run up --cluster-cidr ten
  check 'a wrong CIDR is named' refused "--cluster-cidr: 'ten'"
  run up --node-cidr-mask-size 99
  check 'a wrong mask is named' refused "--node-cidr-mask-size: '99'"
  run up --name ../x
  check 'a name that is a path is refused' refused "--name: '../x'"
  run up --sources cache,luck
  check 'a wrong source is named' refused "--sources: 'luck'"
  run up --kcm-flag v=9
  check 'a flag to pass on must be one' refused "'v=9' is not a flag"
  run fly
  check 'an unknown command is named' refused "unknown command 'fly'"
  run
  check 'no command is an error' refused 'a command is missing'
  run --help
  check '--help explains and succeeds' says 'Usage: control-plane COMMAND'

  env -u HOME -u XDG_STATE_HOME "$script" status >"$work/output" 2>&1
  check 'without a home there is no place for a state, and that is all that is said' only_says 'neither XDG_STATE_HOME nor HOME'
  env -u HOME -u XDG_CACHE_HOME "$script" binaries --sources cache >"$work/output" 2>&1
  check 'nor for programs' only_says 'neither XDG_CACHE_HOME nor HOME'

  mkdir "$work/mine"
  touch "$work/mine/thesis"
  run up --state-dir "$work/mine"
  check 'a directory with other files is not touched by up' says 'has other files in it'
  run down --state-dir "$work/mine"
  check 'nor by down' test -e "$work/mine/thesis"

  mkdir "$work/stale"
  touch "$work/stale/control-plane"
  sleep 60 &
  sleeper=$!
  for item in etcd kube-apiserver kube-controller-manager kube-scheduler; do
    echo "$sleeper" >"$work/stale/$item.pid"
  done
  run status --state-dir "$work/stale"
  check 'a pid that now belongs to another program counts as down' is "$code" 1
  run down --state-dir "$work/stale"
  check 'and is not signalled by down' kill -0 "$sleeper"
  check 'whose state is removed nevertheless' not test -e "$work/stale"
  kill "$sleeper"
  run down --state-dir "$work/never"
  check 'down of nothing succeeds' is "$code" 0
  run status --state-dir "$work/never"
  check 'status of nothing is exit code 1' is "$code" 1
}

# ---- the real thing -----------------------------------------------------------------------------

pids() { cat "$1"/*.pid; }

# only_loopback <state>: its processes listen, and on 127.0.0.1 alone
only_loopback() {
  local listening pattern
  pattern=$(pids "$1" | sed 's/.*/pid=&,/' | paste -sd '|')
  listening=$(ss -Htlnp | grep -E "$pattern") || return 1
  (($(wc -l <<<"$listening") >= 5)) && ! awk '{print $4}' <<<"$listening" | grep -qv '^127\.0\.0\.1:'
}

# as <user> <state> <arguments>: kubectl
as() { "$(cat "$2/kubectl")" --kubeconfig "$2/$1.kubeconfig" "${@:3}" >"$work/output" 2>&1; }

real() {
  local one=$work/planes/one two=$work/planes/two before other
  run up --state-dir "$one" --profile fast
  check 'up succeeds' is "$code" 0
  run status --state-dir "$one"
  check 'status finds all four healthy' is "$code-$(grep -c ' healthy ' "$work/output")" 0-4
  check 'nothing listens beyond loopback' only_loopback "$one"
  check 'kubeconfigs are readable by their owner only' \
    is "$(stat -c %a "$one"/*.kubeconfig | sort -u)" 600
  check 'keys too' is "$(stat -c %a "$one"/pki/*.key | sort -u)" 600
  check 'the admin may do everything' as admin "$one" auth can-i '*' '*'
  check 'the CCM may delete nodes' as mockcloud-ccm "$one" auth can-i delete nodes
  check 'the CCM may not read all that is there: RBAC is on' \
    not as mockcloud-ccm "$one" auth can-i create pods
  check 'mockcloud-nodes may create nodes' as mockcloud-nodes "$one" auth can-i create nodes
  check 'but never delete one' not as mockcloud-nodes "$one" auth can-i delete nodes
  check 'no endpoint names the API server' \
    not as admin "$one" get endpointslices -n default kubernetes
  before=$(pids "$one")
  run up --state-dir "$one" --profile fast
  check 'a second up changes nothing' is "$code-$(pids "$one")" "0-$before"
  run up --state-dir "$one" --profile stock
  check 'a second up with other flags is refused' is "$code" 1

  run up --state-dir "$two" --cluster-cidr 10.128.0.0/9,fd00:10::/48 --service-cidr 10.96.0.0/16,fd00:96::/112
  check 'a second one, dual-stack, runs beside the first' is "$code" 0
  as admin "$two" create -f - <<<'{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}'
  check 'a node gets a CIDR of each family' as admin "$two" wait node/n --timeout 60s \
    --for=jsonpath='{.spec.podCIDRs[1]}'
  run down --state-dir "$two" --keep
  check 'down --keep keeps the state' test -d "$two/etcd"
  run up --state-dir "$two" --cluster-cidr 10.128.0.0/9,fd00:10::/48 --service-cidr 10.96.0.0/16,fd00:96::/112
  check 'and the next up finds what was there' as admin "$two" get node n

  other=$(cat "$one/etcd.pid")
  # shellcheck disable=SC2046 # several
  kill -9 $(pids "$two" | grep -v "^$(cat "$two/etcd.pid")$")
  before=$(cat "$two/etcd.pid")
  run status --state-dir "$two"
  check 'a crashed one is seen by status' is "$code" 1
  run up --state-dir "$two"
  check 'up after a crash starts afresh' is "$code" 0
  check 'what the crash left running is stopped' gone "$before"
  check 'the other one is left alone' kill -0 "$other"

  before="$(pids "$one") $(pids "$two")"
  run down --state-dir "$one"
  run down --state-dir "$two"
  # shellcheck disable=SC2086 # several
  check 'down stops everything' gone $before
  check 'down removes the state' is "$(ls -A "$work/planes")" ''

  run up --state-dir "$one" --apiserver-flag=--no-such-flag
  check 'a component that fails ends up, with its last words' says 'Error: unknown flag: --no-such-flag'
  check 'with exit code 1' is "$code" 1
  run status --state-dir "$one"
  check 'and nothing is left running' not says ' healthy '
}

export XDG_STATE_HOME=$work/state
unset KUBEBUILDER_ASSETS
refusals
[[ ${1-real} != real ]] || real # before fakes, which change where programs are looked for
[[ ${1-fake} != fake ]] || fakes
finish
