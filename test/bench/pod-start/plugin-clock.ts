/** Times the node's calls of our CNI plugin, by a script in its place that calls it. */
import type { KubernetesNode } from "#test/kubernetes/harness/node.ts";
import { WRAPPED_CNI_PLUGINS } from "#test/kubernetes/harness/node-setup.ts";

const PLUGIN = "ambient-mesh";
const TIMES = "/run/cni-times";

const WRAPPER = `#!/bin/sh
started=$(date +%s%N)
/opt/cni/bin/${PLUGIN}
code=$?
ended=$(date +%s%N)
[ "$CNI_COMMAND" != ADD ] || echo "$(((ended - started) / 1000)) $CNI_ARGS" >>${TIMES}
exit $code
`;

export class PluginClock {
  readonly #node: KubernetesNode;

  constructor(node: KubernetesNode) {
    this.#node = node;
  }

  async install(): Promise<void> {
    const file = `${WRAPPED_CNI_PLUGINS}/${PLUGIN}`;
    const script = `mkdir -p ${WRAPPED_CNI_PLUGINS}; cat >${file}; chmod 755 ${file}`;
    await this.#node.namespaces.check(["sh", "-c", script], { stdin: WRAPPER });
  }

  /** What was measured so far does not count. */
  async forget(): Promise<void> {
    await this.#node.namespaces.check(["sh", "-c", `: >${TIMES}`]);
  }

  /** Milliseconds of each call that made a sandbox, by the pod's namespace. */
  async read(): Promise<ReadonlyMap<string, readonly number[]>> {
    const text = await this.#node.namespaces.check(["cat", TIMES]);
    const calls = new Map<string, number[]>();
    for (const line of text.split("\n").filter(Boolean)) {
      const [microseconds, args = ""] = line.split(" ");
      const namespace = /K8S_POD_NAMESPACE=([^;]+)/.exec(args)?.[1] ?? "";
      const others = calls.get(namespace) ?? [];
      calls.set(namespace, [...others, Number(microseconds) / 1_000]);
    }
    return calls;
  }
}
