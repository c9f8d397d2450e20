# shellcheck shell=bash
# Finding a usable Go.  Needs common.sh.

# Any Go from this version on fetches the toolchain that a module asks for.
GO_MINIMUM=1.21
# What is installed where there is none.
GO_VERSION=1.26.8

# version_at_least <version> <minimum>
version_at_least() { [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]; }

# go_serves <program>: it runs, and is new enough
go_serves() {
  local version
  [[ -x $1 ]] || return 1
  version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  version_at_least "${version#go}" "$GO_MINIMUM"
}

# Prints the path of the Go to use; fails if there is none.
find_go() {
  local candidate
  for candidate in "$(command -v go)" /usr/local/go/bin/go /usr/lib/go/bin/go \
    "$(cache_dir)/go/$GO_VERSION/bin/go"; do
    go_serves "$candidate" && { printf '%s\n' "$candidate"; return; }
  done
  return 1
}
