# shellcheck shell=bash
# What kind-up, kind-down and kind-status share.  Needs common.sh.
#
# One server container serves any number of kind clusters.  Everything of it carries the label
# below; clusters are found by kind's own label.

SERVER_LABEL=dev.mockcloud.server
NETWORK=${KIND_EXPERIMENTAL_DOCKER_NETWORK:-kind}
KIND=${KIND:-kind}
MOCKCLOUD=${MOCKCLOUD_BIN:-}

name_pattern='^[a-z0-9]([a-z0-9.-]{0,48}[a-z0-9])?$'

# need_docker: one clear line for each way in which there is no engine
need_docker() {
  local said
  type -P docker >/dev/null || die 'docker is missing: install the Docker CLI and an engine (docker.io on Debian and Ubuntu)'
  said=$(docker version --format '{{.Server.Version}}' 2>&1) && return
  case $said in
    *'permission denied'*) die "no permission on the Docker socket: join its group (docker), or run as root" ;;
    *) die "no Docker engine answers ($(tail -n 1 <<<"$said"))" ;;
  esac
}

need_kind() {
  type -P "$KIND" >/dev/null ||
    die "$KIND is missing: go install sigs.k8s.io/kind@latest, or name the program in KIND"
}

need_mockcloud() {
  local root
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
  [[ -n $MOCKCLOUD ]] || MOCKCLOUD=$root/build/mockcloud
  [[ -x $MOCKCLOUD ]] || MOCKCLOUD=$(type -P mockcloud) || die 'the mockcloud CLI is missing: make'
}

# exists container|image|network NAME
exists() { docker "$1" inspect "$2" >/dev/null 2>&1; }

# image_is_current <image> <directory>...: it is there and, with the tag dev, which is this checkout's, not older than what it
# is made from in those directories
image_is_current() {
  local image=$1 made
  shift
  made=$(docker image inspect -f '{{.Created}}' "$image" 2>/dev/null) || return
  [[ $image != *:dev || -z $(find "$@" -type f -newermt "$made" -print -quit 2>/dev/null) ]]
}

server_running() { [[ $(docker inspect -f '{{.State.Running}}' "$1" 2>/dev/null) == true ]]; }

# containers_of <cluster>: names of its nodes, stopped ones too
containers_of() {
  docker ps -a --filter "label=io.x-k8s.kind.cluster=$1" --format '{{.Names}}' | sort
}

state_dir() { base_dir XDG_STATE_HOME .local/state mockcloud/kind; }
need_state_dir() { state_dir >/dev/null || exit; }

# server_url <server>: as published on the host's loopback
server_url() {
  local binding
  binding=$(docker port "$1" 9080/tcp 2>/dev/null | head -n 1)
  [[ -n $binding ]] && echo "http://$binding"
}

# cloud <arguments>: the CLI, against the server of $server
cloud() {
  MOCKCLOUD_URL=$(server_url "$server") MOCKCLOUD_TOKEN_FILE=$(state_dir)/$server/token \
    MOCKCLOUD_TOKEN='' "$MOCKCLOUD" "$@"
}

# kubectl_in <cluster> <arguments>: the cluster's own kubectl, whatever is installed here
kubectl_in() {
  local cluster=$1
  shift
  docker exec -i "$cluster-control-plane" kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"
}

# eventually <seconds> <what> <command...>: waits until it succeeds; dies saying what did not come
eventually() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || die "not within the time: $what"
    sleep 0.5
  done
}
