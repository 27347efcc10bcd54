#!/bin/sh
# Prepares this checkout on a bare machine, then becomes the command it was given, under Node 26.
# What it takes for granted: sh and any Node with npm. The rest it installs, once, and says so.
#
# usage: sh tools/bootstrap.sh node|system|root COMMAND [ARGUMENT...]
#   node    npm packages (Node 26 is one of them)
#   system  the same, and as root the Debian packages of tools/system-tools.txt; COMMAND decides
#           what it can do without them
#   root    the same, but where namespaces cannot be made the unit tests run instead of COMMAND
#           (with REQUIRE_ROOT=1: nothing runs, and it fails)
set -eu

root=$(CDPATH='' cd "$(dirname "$(readlink -f "$0" 2>/dev/null || echo "$0")")/.." && pwd)
node_major=26
obstacle=''

say() { printf 'ambient-mesh: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# --- npm packages -------------------------------------------------------------------------------

# npm must not run on the very Node that it is about to replace.
path_without_packages() {
  printf %s "$PATH" | tr ':' '\n' | grep -v '/node_modules/\.bin$' | tr '\n' ':' | sed 's/:$//'
}

packages_current() { cmp -s "$root/package-lock.json" "$root/node_modules/.package-lock.stamp"; }

npm_ci() {
  PATH=$(path_without_packages)
  cd "$root"
  # Said again on the command line: NODE_ENV or npm_config_* variables would win over .npmrc.
  npm ci --include=dev --include=optional --ignore-scripts --no-audit --no-fund --loglevel=error
}

install_packages() {
  packages_current && return
  command -v npm >/dev/null ||
    fail "npm is missing: install Node with npm (Debian: apt install npm)"
  say 'installing npm packages, Node 26 among them (npm ci; only when the lock file changed) ...'
  # Two commands started at once share one installation.
  exec 9<"$root/package-lock.json"
  command -v flock >/dev/null && flock 9
  packages_current && { exec 9<&-; return; }
  log=$(mktemp)
  if ! (npm_ci) </dev/null >"$log" 2>&1 9<&-; then
    grep -v '^npm warn' "$log" | head -n 20 >&2
    rm -f "$log"
    fail "npm ci failed, as shown above: it needs to write $root and to reach the npm registry" \
      "(npm config get registry); then run this again"
  fi
  rm -f "$log"
  # A package can be there and yet not run: the machine's C library decides.
  if "$root/node_modules/.bin/node" --version >/dev/null 2>&1; then
    : >"$root/node_modules/.node-runs"
  fi
  cp "$root/package-lock.json" "$root/node_modules/.package-lock.stamp"
  exec 9<&-
  say 'npm packages are in place'
}

use_node() {
  PATH="$root/node_modules/.bin:$(path_without_packages):/usr/local/sbin:/usr/sbin:/sbin"
  if [ -e "$root/node_modules/.node-runs" ]; then return; fi
  system_node=$(PATH=$(path_without_packages) command -v node || true)
  found=$("$system_node" --version 2>/dev/null || echo none)
  major=${found#v}
  major=${major%%.*}
  if [ "$major" != none ] && [ "$major" -ge "$node_major" ]; then
    PATH="$(dirname "$system_node"):$PATH"
    return
  fi
  fail "needs Node $node_major, which comes as an npm package for Linux with glibc on x64 and" \
    "arm64; this is $(uname -sm): put Node $node_major first on the PATH (found: $found)"
}

# --- Debian packages ----------------------------------------------------------------------------

# Prints "command package reason" for every tool that is not there.
missing_tools() {
  while read -r command package reason; do
    case "$command" in '' | '#'*) continue ;; esac
    command -v "$command" >/dev/null || echo "$command $package $reason"
  done <"$root/tools/system-tools.txt"
}

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" </dev/null
}

# apt-get complains about one unreachable source of many: only the installation's result counts.
install_tools() {
  missing=$(missing_tools)
  [ -n "$missing" ] || return 0
  echo "$missing" | while read -r command package reason; do
    say "missing: $command (package $package): $reason"
  done
  if ! command -v apt-get >/dev/null; then
    obstacle='there is no apt-get to install the commands above (install them by hand)'
    return 0
  fi
  packages=$(echo "$missing" | cut -d ' ' -f 2 | sort -u | tr '\n' ' ')
  say "installing ${packages}with apt-get ..."
  log=$(mktemp)
  # shellcheck disable=SC2086 # one word per package
  if { apt update || true; apt install -y --no-install-recommends $packages; } >"$log" 2>&1; then
    say 'Debian packages are in place'
  else
    tail -n 20 "$log" >&2
    obstacle="apt-get could not install ${packages}(as shown above)"
  fi
  rm -f "$log"
}

# Sets $obstacle to what keeps this machine from making nodes and pods, if anything does.
prepare_system() {
  if [ "$(uname -s)" != Linux ]; then
    obstacle="this is $(uname -s), and nodes and pods are network namespaces of Linux"
  elif [ "$(id -u)" != 0 ]; then
    obstacle='network namespaces and nft rules need root (try sudo)'
  else
    install_tools
    if [ -z "$obstacle" ] && ! unshare --net --mount --pid --fork true 2>/dev/null; then
      obstacle='root may not make namespaces here (a container needs --privileged)'
    fi
  fi
}

# --- main ---------------------------------------------------------------------------------------

mode=${1:?usage: sh tools/bootstrap.sh node|system|root COMMAND [ARGUMENT...]}
shift
install_packages
use_node
export PATH
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$root/node_modules/.cache/compile}"
[ "$mode" = node ] || prepare_system
if [ "$mode" = root ] && [ -n "$obstacle" ]; then
  if [ "${REQUIRE_ROOT:-}" = 1 ]; then fail "cannot run here: $obstacle"; fi
  say "$obstacle; running the unit tests instead, which need none of that"
  set -- node "$root/tools/run-tests.ts" --unit
fi
exec "$@"
