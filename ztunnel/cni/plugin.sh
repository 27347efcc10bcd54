#!@RUNTIME@/busybox sh
# The CNI plugin of ambient-mesh: hands each call on to the ztunnel of this node, which captures the
# pod before it starts. Where no ztunnel answers, the sandbox of a pod fails (the kubelet makes
# another one), except in namespaces that the mesh itself needs to start. ztunnel writes this file.
runtime=@RUNTIME@
socket=@SOCKET@
excluded=' @EXCLUDED@ '
patience=@PATIENCE@
timeout=@TIMEOUT@
newline='
'
config=$("$runtime/busybox" cat)
version=${config#*\"cniVersion\":}
version=${version#*\"}
version=${version%%\"*}
case $version in [0-9]*.[0-9]*.[0-9]*) ;; *) version=1.0.0 ;; esac

fail() {
  printf '{"cniVersion":"%s","code":%s,"msg":"%s","details":"%s"}\n' "$version" "$1" "$2" "$3"
  exit 1
}

# The value of one of CNI_ARGS.
argument() {
  rest=";${CNI_ARGS:-};"
  case $rest in
    *";$1="*) ;;
    *) return ;;
  esac
  rest=${rest#*";$1="}
  printf %s "${rest%%;*}"
}

# What the plugins before this one came to, out of the configuration.
pass() {
  printf '%s\n' "$config" | "$runtime/busybox" awk '
    { text = text $0 "\n" }
    END {
      for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (inside) {
          if (c == "\\") i++
          else if (c == "\"") {
            inside = 0
            if (depth == 1 && !start) key = substr(text, from, i - from)
          }
        } else if (c == "\"") { inside = 1; from = i + 1 }
        else if (c == "{" || c == "[") {
          if (++depth == 2 && key == "prevResult" && !start) start = i
        } else if (c == "}" || c == "]") {
          if (--depth == 1 && start) { print substr(text, start, i - start + 1); exit 0 }
        } else if (c == "," && depth == 1) key = ""
      }
      exit 1
    }' || fail 7 'ambient-mesh has to come after another plugin: there is no prevResult' ''
  exit 0
}

ask() {
  printf '%s\n' "$CNI_COMMAND" "${CNI_CONTAINERID:-}" "${CNI_NETNS:-}" "${CNI_IFNAME:-}" \
    "${CNI_ARGS:-}" "$config" END |
    "$runtime/ld.so" --library-path "$runtime" "$runtime/nc" -U -N -w "$1" "$socket" 2>/dev/null
}

# Prints the answer of the agent and ends; returns where there is none.
hand_over() {
  reply=$(ask "$1")
  case $reply in
    0 | "0$newline"*) status=0 ;;
    1 | "1$newline"*) status=1 ;;
    *) return ;;
  esac
  reply=${reply#?}
  printf '%s\n' "${reply#"$newline"}"
  exit "$status"
}

case ${CNI_COMMAND:-} in
  VERSION)
    echo '{"cniVersion":"1.1.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}'
    exit 0
    ;;
  # A node without its agent still has a network: the agent itself starts on it. A sandbox that
  # fails its CHECK is made anew, with all of its pod's containers, which mends nothing: what is
  # missing of a capture ztunnel puts back.
  STATUS | GC | CHECK) exit 0 ;;
  DEL)
    ask 2 >/dev/null
    exit 0
    ;;
  ADD) ;;
  *) fail 4 "CNI_COMMAND is not one of the specification's" '' ;;
esac

namespace=$(argument K8S_POD_NAMESPACE)
[ -n "$namespace" ] || pass
case $excluded in *" $namespace "*) pass ;; esac

ends=$(($("$runtime/busybox" date +%s) + patience))
while :; do
  hand_over "$timeout"
  [ "$("$runtime/busybox" date +%s)" -lt "$ends" ] || break
  "$runtime/busybox" usleep 100000
done
pod=$namespace/$(argument K8S_POD_NAME)
look='kubectl -n istio-system get pods -l app=ztunnel -o wide'
fail 11 "no ztunnel answers on this node, so pod $pod may not start: see $look" \
  "socket $socket; has the mesh left this cluster for good? meshctl uninstall, or docs/nodes.md"
