/** How many queries wait for an answer, in one pod and in all: the bound of the proxy's memory. */

import type { DnsBound } from "./dns-metrics.ts";
import { DNS_QUERIES_PER_NODE, DNS_QUERIES_PER_POD } from "./limits.ts";

export class NodeQueries {
  count = 0;
}

export class PodQueries {
  readonly #node: NodeQueries;
  #count = 0;

  constructor(node: NodeQueries) {
    this.#node = node;
  }

  get count(): number {
    return this.#count;
  }

  /** Counts one more; returns the bound where that is not allowed, and counts nothing then. */
  take(): DnsBound | undefined {
    if (this.#count >= DNS_QUERIES_PER_POD) return "pod-queries";
    if (this.#node.count >= DNS_QUERIES_PER_NODE) return "node-queries";
    this.#count++;
    this.#node.count++;
    return undefined;
  }

  release(): void {
    this.#count--;
    this.#node.count--;
  }
}
