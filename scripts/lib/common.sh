# shellcheck shell=bash
# What every script here needs: messages, the places where things are kept, and
# downloads that are used only when their checksum is right.

program=${0##*/}

say() { printf '%s\n' "$*" >&2; }
die() {
  say "$program: $*"
  exit 1
}
# A mistake on the command line: exit code 2, as getopt has it.
usage_error() {
  say "$program: $* (see $program --help)"
  exit 2
}

# need_value <flag> <number of arguments left>: for flags that take a value
need_value() { (($2 > 1)) || usage_error "$1 needs a value"; }

# base_dir <variable> <its default below HOME> <path>: below one of the XDG base directories. Fails if there is none: a path
# that begins with nothing would be one below /.
base_dir() {
  local value=${!1-}
  [[ $value == /* ]] && { printf '%s\n' "$value/$3"; return 0; } # in a trap, no 0 is the status before it
  [[ -n ${HOME-} ]] || die "neither $1 nor HOME is set: no place to keep files"
  printf '%s\n' "$HOME/$2/$3"
}
cache_dir() { base_dir XDG_CACHE_HOME .cache mockcloud; }

architecture() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
  esac
}

# fetch <url> <file>: HTTPS only, except from this very machine (tests, mirrors)
fetch() {
  local protocols='=https'
  [[ $1 =~ ^http://(127\.0\.0\.1|localhost)(:[0-9]+)?/ ]] && protocols='=http'
  curl --proto "$protocols" --fail --silent --show-error --location --connect-timeout 4 --retry 2 \
    --speed-limit 10000 --speed-time 20 --max-time 900 --output "$2" "$1"
}

# fetch_checked <url> <file> <sha256, lower case>: the file is there only if it is right
fetch_checked() {
  local sum
  [[ $3 =~ ^[0-9a-f]{64}$ ]] || { say "  no valid checksum for $1: not used"; return 1; }
  fetch "$1" "$2.part" || { rm -f "$2.part"; return 1; }
  sum=$(sha256sum <"$2.part")
  if [[ ${sum%% *} != "$3" ]]; then
    rm -f "$2.part"
    say "  checksum of $1 does not match: not used"
    return 1
  fi
  mv "$2.part" "$2"
}
