# shellcheck shell=bash
# What the tests of scripts share; sourced. $work is a folder of the test, which it removes itself.
work=$(mktemp -d)
examined=0
failed=0
trap 'exit 130' INT TERM

# check <sentence> <command>: the command must succeed; else what the script said ($work/output) is shown
check() {
  examined=$((examined + 1))
  if "${@:2}"; then
    echo "ok $examined - $1"
  else
    failed=$((failed + 1))
    echo "not ok $examined - $1"
    tail -n 30 "$work/output" 2>/dev/null | sed 's/^/    /'
  fi
}
# is <value> <value>
is() { [[ $1 == "$2" ]]; }
# not <command>: it must fail
not() { ! "$@"; }
# The last line of a test: whether it examined something and all of it was right.
finish() {
  echo "$examined examined, $failed failed"
  ((examined > 0 && failed == 0))
}
