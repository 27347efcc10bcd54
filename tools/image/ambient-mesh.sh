#!/bin/sh
# The image's entrypoint: the first argument says which program this container is.
# "proxy waypoint" and "proxy ztunnel" are what Istio's own pods say.
set -eu

app=${AMBIENT_MESH_HOME:-/opt/ambient-mesh}

usage() {
  echo "usage: ambient-mesh istiod-lite|ztunnel|waypoint|meshctl|uninstall-node [ARGUMENT...]" >&2
  exit 64
}

[ "${1:-}" != proxy ] || shift
program=${1:-}
case "$program" in
  istiod-lite | ztunnel | waypoint | meshctl) shift && main=$program/main.ts ;;
  uninstall-node) shift && main=ztunnel/uninstall-node-main.ts ;;
  *) usage ;;
esac
# shellcheck disable=SC2086 # flags for Node, one word each
exec node ${AMBIENT_MESH_NODE_FLAGS:-} "$app/$main" "$@"
