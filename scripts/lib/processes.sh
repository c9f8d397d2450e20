# shellcheck shell=bash
# Starting, recognising and stopping the processes of one state directory.
# A process is ours only if its command line names that directory: nothing else
# is ever signalled.  Needs common.sh; $state is the directory, and the caller's.

: "${state=}"
starting= # the component that start is at

# is_ours <pid> [<component>]
is_ours() {
  local -a arguments=()
  local argument
  [[ $1 =~ ^[0-9]+$ && -r /proc/$1/cmdline ]] || return 1
  mapfile -d '' -t arguments <"/proc/$1/cmdline" 2>/dev/null || return 1
  ((${#arguments[@]} > 1)) || return 1 # gone, or a zombie
  [[ -z ${2-} || ${arguments[0]##*/} == "$2" ]] || return 1
  # no pipe into grep -q: it may end before all is written, and with pipefail that would be a "no"
  for argument in "${arguments[@]:1}"; do
    [[ $argument == *"=$state/"* ]] && return 0
  done
  return 1
}

# pid_of <component>: of the running one; fails if there is none
pid_of() {
  local pid
  pid=$(cat "$state/$1.pid" 2>/dev/null) && is_ours "$pid" "$1" && echo "$pid"
}

# recognised <pid> <component>: waits until it is ours, which a new one is not at once, or gone
recognised() {
  local deadline=$((SECONDS + 10))
  while kill -0 "$1" 2>/dev/null && ! is_ours "$1" "$2" && ((SECONDS < deadline)); do sleep 0.01; done
}

# start <component> <program> <arguments>: in a session of its own, so that a Ctrl-C
# at the terminal reaches only who asked for it. Returns when it is that program: who looked before would take
# it for gone.
start() {
  local component=$1 pid
  shift
  starting=$component
  setsid "$@" >"$state/$component.log" 2>&1 </dev/null 9>&- &
  pid=$!
  recognised "$pid" "$component"
  echo "$pid" >"$state/$component.pid"
  starting=
}

# Before all_of_ours in a trap, which may have come amid start: waits for whom it would not find.
finish_start() { [[ -z $starting || -z ${!-} ]] || recognised "$!" "$starting"; }

# Pids of everything of ours that runs, with or without a pid file.
all_of_ours() {
  local file pid
  while IFS= read -r file; do
    pid=${file#/proc/} pid=${pid%/cmdline}
    for component in "${COMPONENTS[@]}"; do
      is_ours "$pid" "$component" && echo "$pid"
    done
  done < <(grep -slF -- "=$state/" /proc/[0-9]*/cmdline)
}

# stop_pids <seconds> <pid>...: asks, waits, and ends what is still there
stop_pids() {
  local deadline=$((SECONDS + $1)) pid left
  shift
  for pid in "$@"; do is_ours "$pid" && kill -TERM "$pid" 2>/dev/null; done
  while :; do
    left=()
    for pid in "$@"; do is_ours "$pid" && left+=("$pid"); done
    ((${#left[@]} > 0)) || return 0
    ((SECONDS < deadline)) || break
    sleep 0.05
  done
  for pid in "${left[@]}"; do is_ours "$pid" && kill -KILL "$pid" 2>/dev/null; done
  for pid in "${left[@]}"; do
    while is_ours "$pid"; do sleep 0.02; done
  done
}

# Clients first, then the API server, etcd last.
stop_all() {
  local component pid clients=()
  finish_start
  for component in kube-scheduler kube-controller-manager; do
    pid=$(pid_of "$component") && clients+=("$pid")
  done
  stop_pids 4 "${clients[@]}"
  pid=$(pid_of kube-apiserver) && stop_pids 6 "$pid"
  pid=$(pid_of etcd) && stop_pids 4 "$pid"
  mapfile -t clients < <(all_of_ours)
  stop_pids 2 "${clients[@]}"
  rm -f "$state"/*.pid
}

# free_port: into $chosen_port, one that nobody listens on, below the range that the
# kernel hands out
free_port() {
  local port tries
  for ((tries = 0; tries < 200; tries++)); do
    port=$((20000 + RANDOM % 12000))
    [[ " ${taken_ports-} " != *" $port "* ]] || continue
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue
    taken_ports="${taken_ports-} $port"
    # shellcheck disable=SC2034 # the caller's
    chosen_port=$port
    return
  done
  die 'no free port between 20000 and 32000'
}
