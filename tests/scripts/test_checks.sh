#!/usr/bin/env bash
# The helpers of make test and make lint: that they see what is wrong, and say so when nothing was examined.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# says <sentence> <exit code> <pattern> <command>...: the command ends so and prints that
says() {
  local sentence=$1 code=$2 pattern=$3 output got
  shift 3
  output=$("$@" 2>&1)
  got=$?
  if ((got == code)) && [[ $output =~ $pattern ]]; then
    echo "ok - $sentence"
    passed=$((passed + 1))
  else
    printf 'not ok - %s\n  exit code %d, not %d, or no "%s" in:\n%s\n' "$sentence" "$got" "$code" "$pattern" "$output"
    failed=$((failed + 1))
  fi
}

source_file() { # <path> <line>...
  local path=$work/$1
  shift
  mkdir -p "${path%/*}"
  printf '%s\n' "$@" >"$path"
}

includes() {
  says "$1" "$2" "$3" "$root/scripts/check-includes" "$work"
  rm -rf "${work:?}"/*
}

includes 'no file at all is a failure' 1 'nothing was examined'
source_file base/a.h '#include <stdint.h>'
source_file store/b.c '#include "base/a.h"' '#include <sqlite3.h>'
source_file api/c.c '#include "sim/cloud.h"' '#include "base/a.h"' '#include <jansson.h>'
includes 'arrows that point downwards are fine, and counted' 0 '3 files, 6 includes, 0 against'
source_file base/a.c '#include "store/store.h"'
includes 'base depends on nothing' 1 'base/a.c:1: base must not include store'
source_file store/a.c 'int x;' '  #  include "sim/cloud.h"'
includes 'store must not know sim' 1 'store/a.c:2: store must not include sim'
source_file api/a.c '#include "store/store.h"'
includes 'api goes through sim' 1 'api must not include store'
source_file sim/a.c '#include <sqlite3.h>'
includes 'SQLite stays in store' 1 'sim/a.c:1: <sqlite3.h> belongs to store'
source_file api/query.c '#include <microhttpd.h>'
includes 'libmicrohttpd stays in the HTTP files' 1 'microhttpd.h> belongs to'
source_file sim/a.c '#include "base/a.h"' 'int f(void) { return (int)time(NULL); }'
includes 'time comes from base' 1 'sim/a.c:2: time, chance'
source_file sim/a.c '#include "base/a.h"' '// time(NULL)' 'char *s = "rand()";' 'int f(void) { return x->time(1) + runtime(2); }'
includes 'comments, strings and other names are no calls' 0 '0 against'

printf '%s\n' '[  PASSED  ] 12 test(s).' '=== 3 passed, 1 skipped in 2.00s ===' '--- PASS: TestA (0.00s)' \
  '    --- PASS: TestA/sub (0.00s)' '4 fuzz targets passed, 0 failed' '== 2 of 2 parts passed, 3 s in all' >"$work/log"
says 'passing tests are added up' 0 '20 passed, 0 failed$' "$root/scripts/count-tests" "$work/log"
printf '%s\n' '[  PASSED  ] 12 test(s).' '[  FAILED  ] 2 test(s), listed below:' '1 failed, 3 passed in 2.00s' \
  '--- FAIL: TestA (0.00s)' '== 1 of 2 parts passed, 3 s in all' >"$work/log"
says 'what failed is told once more' 1 $'^--- FAIL: TestA \\(0.00s\\)\n.*15 passed' "$root/scripts/count-tests" "$work/log"
says 'failing tests are added up and fail' 1 '15 passed, 4 failed$' "$root/scripts/count-tests" "$work/log"
printf '%s\n' '[  PASSED  ] 12 test(s).' '== 1 of 2 parts passed, 3 s in all' >"$work/log"
says 'a part that fails without a test that does is a failure' 1 '12 passed, 0 failed$' "$root/scripts/count-tests" "$work/log"
: >"$work/log"
says 'no test at all is a failure' 1 '0 passed, 0 failed$' "$root/scripts/count-tests" "$work/log"

cat >"$work/make" <<'END'
#!/bin/sh
[ "$1" != broken ]
END
chmod +x "$work/make"
says 'every part runs whatever became of those before' 1 '2 of 3 parts passed' \
  env MAKE="$work/make" "$root/scripts/timed" one broken three
says 'all parts passing is a success' 0 '1 of 1 parts passed' env MAKE="$work/make" "$root/scripts/timed" one

echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
