/** On which nodes a ztunnel is ready, and which of them still carry the taint that waits for it. */
import type { Node, ObjectChange, Pod } from "#common/kubernetes/objects.ts";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import { ZTUNNEL_ACCOUNT } from "#istiod-lite/ca/caller.ts";

export class ReadyZtunnels {
  readonly #namespace: string;
  readonly #taintKey: string;
  /** Keys of ready ztunnel pods, by node. */
  readonly #ready = new Map<string, Set<string>>();
  readonly #nodeOf = new Map<string, string>();
  readonly #tainted = new Set<string>();

  constructor(namespace: string, taintKey: string) {
    this.#namespace = namespace;
    this.#taintKey = taintKey;
  }

  has(node: string): boolean {
    return (this.#ready.get(node)?.size ?? 0) > 0;
  }

  /** Whether the node waits for a ztunnel that is there. */
  isWaiting(node: string): boolean {
    return this.#tainted.has(node) && this.has(node);
  }

  get tainted(): Iterable<string> {
    return this.#tainted;
  }

  /** Returns the nodes of which something has changed. */
  apply(changes: readonly ObjectChange[]): ReadonlySet<string> {
    const touched = new Set<string>();
    for (const { key, kind, object } of changes) {
      const [, namespace, name = ""] = key.split("/");
      if (kind === "Node") {
        touched.add(name);
        if (object?.kind === "Node" && this.#isTainted(object)) this.#tainted.add(name);
        else this.#tainted.delete(name);
      } else if (kind === "Pod" && namespace === this.#namespace) {
        for (const node of this.#pod(key, object?.kind === "Pod" ? object : undefined)) {
          touched.add(node);
        }
      }
    }
    return touched;
  }

  #pod(key: string, pod: Pod | undefined): readonly string[] {
    const before = this.#nodeOf.get(key);
    if (before !== undefined) {
      this.#nodeOf.delete(key);
      const left = this.#ready.get(before);
      left?.delete(key);
      if (left?.size === 0) this.#ready.delete(before);
    }
    const node = pod !== undefined && isReadyZtunnel(pod) ? pod.spec.nodeName : undefined;
    if (node !== undefined) {
      this.#nodeOf.set(key, node);
      const ready = this.#ready.get(node) ?? new Set();
      this.#ready.set(node, ready.add(key));
    }
    return [before, node].flatMap((each) => each ?? []);
  }

  #isTainted(node: Node): boolean {
    return node.spec?.taints?.some(({ key }) => key === this.#taintKey) ?? false;
  }
}

function isReadyZtunnel(pod: Pod): boolean {
  if (pod.spec.serviceAccountName !== ZTUNNEL_ACCOUNT) return false;
  return pod.metadata.deletionTimestamp === undefined && isReady(pod);
}
