#!/usr/bin/env bash
# scripts/run: the tour on the real thing, an interrupt, and a second one beside the first.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script=$here/../../scripts/run
# shellcheck source=tests/scripts/check.sh
source "$here/check.sh"
running=
export STATE_DIR="$work/number one" LISTEN=127.0.0.1:0
unset DEMO PROFILE

clean_up() {
  if [[ -n $running ]]; then
    kill -TERM "$running" 2>/dev/null
    wait "$running"
  fi
  rm -rf "$work"
}
trap clean_up EXIT

says() { grep -qF -- "$1" "$work/output"; }
first_line() { head -n 1 "$work/output" | grep -q -- "$1"; }
# what it tells to paste, in a shell of its own
# shellcheck disable=SC2016
pasted() {
  env -u MOCKCLOUD_TOKEN_FILE -u KUBECONFIG bash -c "$(grep '^ *export ' "$work/output")"'
    [[ -f $MOCKCLOUD_TOKEN_FILE && -f $KUBECONFIG ]] && mockcloud status && kubectl get nodes' >/dev/null
}
one_line() { [[ $(wc -l <"$work/output") == 1 ]]; }
# the pattern does not stand on grep's own command line
nothing_left() { ! grep -slF -f <(printf '=%s/\n' "$work") /proc/[0-9]*/cmdline | grep -q .; }

# begin <text>: starts it and waits until it says that
begin() {
  local deadline=$((SECONDS + 180))
  : >"$work/output" # what the run before has said must not be taken for this one's
  # a shell without job control would have it ignore a Ctrl-C
  env --default-signal=INT "$script" >"$work/output" 2>&1 &
  running=$!
  until says "$1"; do
    kill -0 "$running" 2>/dev/null && ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}
# end: interrupts it; its exit code is in $code
end() {
  kill -INT "$running"
  wait "$running"
  code=$?
  running=
}

tour() {
  DEMO=script "$script" >"$work/output" 2>&1
  code=$?
  check 'the tour ends with exit code 0' is "$code" 0
  check 'the Node of a terminated instance goes' says 'Node node-a is gone from the API server'
  check 'its first line says where the cloud is' first_line '] mock cloud on 127\.0\.0\.1:[1-9][0-9]*$'
  check 'because the cloud provider says so' says 'because it does not exist in the cloud provider'
  check 'and no process is left' nothing_left
}

interrupts() {
  begin '  kube-apiserver '
  check 'it can be interrupted while the control plane starts' is $? 0
  end
  check 'then it ends with 130' is "$code" 130
  check 'and no process is left then' nothing_left

  begin 'Ctrl-C ends everything'
  code=$?
  check 'without DEMO it follows the events' is "$code" 0
  check 'its lines for another terminal can be pasted, whatever is in the names of directories' pasted
  ((code != 0)) || second
  end
  check 'an interrupt ends it with 130' is "$code" 130
  check 'and no process is left after that either' nothing_left
}

second() {
  local code address
  mv "$work/output" "$work/first"
  timeout 120 "$script" >"$work/output" 2>&1
  code=$?
  check 'a second one of the same state is refused' is "$code" 1
  check 'in one line' one_line
  check 'that says why' says "run: another 'make run' uses $STATE_DIR: stop it, or set STATE_DIR"

  address=$(sed -n 's|^ *API *http://\([^ ]*\).*|\1|p' "$work/first")
  STATE_DIR=$work/two LISTEN=$address timeout 120 "$script" >"$work/output" 2>&1
  code=$?
  check 'a second one on the same port is refused' is "$code" 1
  check 'naming the address' says "--listen: $address: Address already in use"
}

refusals() {
  "$script" --no-such-flag >"$work/output" 2>&1
  check 'an unknown argument is refused' is $? 2
  PROFILE=slow "$script" >"$work/output" 2>&1
  check 'an unknown profile is refused' is $? 2
  check 'by name' says "'slow'"
  DEMO=script timeout 60 env -u HOME -u XDG_STATE_HOME -u STATE_DIR "$script" >"$work/output" 2>&1
  check 'without a home it does not begin' is $? 1
  check 'and only says why' one_line
}

refusals
tour
interrupts
finish
