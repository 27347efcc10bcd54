/**
 * Takes the taint off nodes whose ztunnel is ready: where a new node is created with it, no pod of
 * the mesh is scheduled there before its traffic can be captured. Source: Istio's untaint
 * controller.
 */
import { getObject, isNotFound, mergePatch } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import type { Node } from "#common/kubernetes/objects.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { RepairQueue } from "#istiod-lite/config/kubernetes/leader/repair-queue.ts";
import type { ReadyZtunnels } from "#istiod-lite/config/kubernetes/ready-ztunnels.ts";
import { FIELD_MANAGER } from "#istiod-lite/config/kubernetes/write/stored-object.ts";
import type { Leadership } from "#istiod-lite/config/leadership.ts";

export interface NodeUntaintDeps {
  readonly client: KubeClient;
  readonly leadership: Leadership;
  readonly logger: Logger;
  readonly ztunnels: ReadyZtunnels;
  readonly taintKey: string;
}

export class NodeUntaint {
  readonly #deps: NodeUntaintDeps;
  readonly #queue: RepairQueue;

  constructor(deps: NodeUntaintDeps) {
    this.#deps = deps;
    this.#queue = new RepairQueue({
      ...deps,
      what: "taints of a node",
      isDue: (node) => deps.ztunnels.isWaiting(node),
      write: (node) => this.#untaint(node),
    });
    deps.leadership.onChange((isLeader) => {
      if (isLeader) this.#queue.add(deps.ztunnels.tainted);
    });
  }

  /** Something has changed of these nodes, or of their ztunnels. */
  look(nodes: Iterable<string>): void {
    this.#queue.add(nodes);
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  async #untaint(name: string): Promise<void> {
    const { client, logger, taintKey } = this.#deps;
    const reference = { kind: "Node", name };
    const node = await getObject<Node>(client, reference);
    const taints = node?.spec?.taints ?? [];
    const left = taints.filter(({ key }) => key !== taintKey);
    if (node === undefined || left.length === taints.length) return;
    const { resourceVersion } = node.metadata;
    try {
      const patch = { metadata: { resourceVersion }, spec: { taints: left } };
      await mergePatch(client, reference, patch, { fieldManager: FIELD_MANAGER });
      logger.info("the node's ztunnel is ready: taint taken off", { node: name, taint: taintKey });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
