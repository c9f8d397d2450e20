#!/usr/bin/env bash
# scripts/kind-*, ci-start: wrong use and machines that lack something are one clear line; a server for CI.
# What they do on a real engine is tests/kind's business.
# shellcheck disable=SC2016 # what stands in single quotes is for another shell
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scripts=$here/../../scripts
# shellcheck source=tests/scripts/check.sh
source "$here/check.sh"
export XDG_STATE_HOME=$work/state MOCKCLOUD_BIN=$here/../../build/mockcloud
unset KIND KIND_NODE_IMAGE MOCKCLOUD_URL MOCKCLOUD_TOKEN_FILE GITHUB_ENV

clean_up() {
  if [[ -e $work/ci/mockcloud.pid ]]; then kill "$(<"$work/ci/mockcloud.pid")" 2>/dev/null; fi
  rm -rf "$work"
}
trap clean_up EXIT

# stub <program> <script>: a program of that name that comes first on the PATH
stub() {
  mkdir -p "$work/bin"
  printf '#!/bin/sh\n%s\n' "$2" >"$work/bin/$1"
  chmod +x "$work/bin/$1"
}

# a PATH with what the scripts need of the system, but neither docker nor kind
mkdir -p "$work/system"
for program in bash sh env cat sed grep head tail mktemp dirname rm date stat od tr sort awk uname printf sleep cp mkdir chmod; do
  path=$(type -P "$program") && ln -s "$path" "$work/system/$program"
done
bare=$work/bin:$work/system

# says <exit code> <pattern> <command...>: ends with that code and one line that matches
says() {
  local code=$1 pattern=$2 output status
  shift 2
  output=$(env PATH="$bare" "$@" 2>&1)
  status=$?
  [[ $status == "$code" && $(wc -l <<<"$output") == 1 && $output =~ $pattern ]] && return
  echo "# exit code $status: $output"
  return 1
}

for flag in --workers=x --nonsense; do
  check "kind-up refuses $flag by name" says 2 "${flag%%=*}" "$scripts/kind-up" "${flag%%=*}" "${flag#*=}"
done
check 'a number of workers that is none is refused' says 2 '--workers' "$scripts/kind-up" --workers 51
check 'a name that no container can have is refused' says 2 '--name' "$scripts/kind-up" --name Up_Per
check 'a port that is none is refused' says 2 '--port' "$scripts/kind-up" --port 99x
check 'a pod subnet that is none is refused' says 2 '--pod-subnet' "$scripts/kind-up" --pod-subnet everything
check 'a version and an image together are refused' says 2 'only one' "$scripts/kind-up" --image a --k8s-version v1.37.2
check 'nor is one that is too large' says 2 '--port' "$scripts/kind-up" --port 65536
for script in kind-up kind-down kind-status; do
  check "$script without a home says that it has no place for files, and does nothing" \
    says 1 'neither XDG_STATE_HOME nor HOME is set' env -u HOME -u XDG_STATE_HOME "$scripts/$script"
done
check 'without docker that is said' says 1 'docker is missing' "$scripts/kind-up"
check 'kind-down says so too' says 1 'docker is missing' "$scripts/kind-down"
check 'kind-status says so too' says 1 'docker is missing' "$scripts/kind-status"

stub docker 'echo "permission denied while trying to connect to the Docker daemon socket" >&2; exit 1'
check 'no permission on the socket is told from no engine' says 1 'no permission' "$scripts/kind-up"
stub docker 'echo "Cannot connect to the Docker daemon. Is the docker daemon running?" >&2; exit 1'
check 'no engine is said' says 1 'no Docker engine answers' "$scripts/kind-up"
stub docker 'case $1 in version) echo 28;; *) exit 1;; esac'
check 'a missing kind is said' says 1 'kind is missing' "$scripts/kind-up"
stub kind 'exit 0'
check 'an image that cannot be had is named' says 1 'nowhere/at:all' "$scripts/kind-up" --image nowhere/at:all
stub docker 'case "$1 $2" in version*) echo 28;; "ps -a") echo other-control-plane;; *) exit 1;; esac'
check 'a cluster of the name that is not ours is left alone' says 1 'there is a kind cluster other already' \
  "$scripts/kind-up" --name other

# Which images are made.
mkdir "$work/sources"
touch -d 2026-02-03T04:05:06Z "$work/sources/file.c"
current() { # <image> <when it was made>
  stub docker "[ '$2' ] && echo '$2'"
  PATH=$work/bin:$PATH bash -c 'source "$1/lib/kind.sh"; image_is_current "$2" "$3"' - "$scripts" "$1" "$work/sources"
}
check 'an image that is newer than its sources is taken' current mockcloud:dev 2026-02-03T04:05:06.9Z
check 'one of this checkout that is older is not' not current mockcloud:dev 2026-02-03T04:05:05.1Z
check 'one of another tag is, however old' current mockcloud:v1 2020-01-01T00:00:00Z
check 'one that is missing is not' not current mockcloud:v1 ''

# The server of a CI job.
start() {
  GITHUB_ENV=$work/env GITHUB_PATH=$work/path GITHUB_OUTPUT=$work/output MOCKCLOUD_STATE=$work/ci \
    MOCKCLOUD_LISTEN=127.0.0.1:0 "$scripts/ci-start" >"$work/exports"
}
check 'ci-start starts a server' start
check 'the variables that it prints reach the server' bash -c '. "$1"; "$2" instance create web -o name' - "$work/exports" "$MOCKCLOUD_BIN"
check 'later steps of a GitHub job find it' grep -q '^MOCKCLOUD_URL=http://127.0.0.1:[1-9]' "$work/env"
check 'the action passes its outputs on' grep -q '^token-file=/' "$work/output"
wrong() {
  ! MOCKCLOUD_STATE=$work/wrong MOCKCLOUD_CLOCK=sundial "$scripts/ci-start" >"$work/said" 2>&1 && grep -q -- '--clock' "$work/said"
}
check 'a server that does not start says why' wrong
evaluated() { # <what it says> <variable>=<value>...: of a job that goes on with what was printed
  ! env MOCKCLOUD_STATE="$work/wrong" "${@:2}" sh -ec 'eval "$("$0")"; echo went on' "$scripts/ci-start" >"$work/out" 2>"$work/said" &&
    [[ ! -s $work/out ]] && grep -q -- "$1" "$work/said"
}
check 'the eval of a server that does not start ends the job' evaluated --clock MOCKCLOUD_CLOCK=sundial
check 'the eval of a cluster that does not start ends the job' evaluated 'unknown argument --no-such' MOCKCLOUD_KIND=true \
  MOCKCLOUD_KIND_ARGS=--no-such

finish
