/**
 * A ring of points: a hash belongs to the endpoint of the next point. When an endpoint comes or
 * goes, only what belongs to it moves.
 */
import type { Balanced } from "./balancer.ts";
import { hash32 } from "./hash.ts";
import { POINTS_PER_ENDPOINT, RING_POINTS } from "./limits.ts";

/** Room for a host's index beside 32 bits of hash in the integers that a double holds. */
const INDEX_SPACE = 2 ** 20;

export class HashRing<Host extends Balanced> {
  readonly #hosts: readonly Host[];
  /** Hash times INDEX_SPACE plus index of the host, in ascending order. */
  readonly #points: Float64Array;

  constructor(hosts: readonly Host[]) {
    this.#hosts = hosts;
    const most = hosts.reduce((max, { weight }) => Math.max(max, weight), 0);
    const each = Math.min(POINTS_PER_ENDPOINT, Math.ceil(RING_POINTS / Math.max(1, hosts.length)));
    const points: number[] = [];
    for (const [index, { id, weight }] of hosts.entries()) {
      const count = Math.max(1, Math.round((each * weight) / most));
      for (let k = 0; k < count; k++) points.push(hash32(`${id}#${k}`) * INDEX_SPACE + index);
    }
    this.#points = Float64Array.from(points).sort();
  }

  /** Of the first usable endpoint from the hash on. */
  find(hash: number, usable: (host: Host) => boolean): Host | undefined {
    const points = this.#points;
    const start = this.#firstFrom(hash * INDEX_SPACE);
    const refused = new Set<Host>();
    for (let i = 0; i < points.length; i++) {
      const host = this.#hosts[(points[(start + i) % points.length] ?? 0) % INDEX_SPACE];
      if (host === undefined || refused.has(host)) continue;
      if (usable(host)) return host;
      refused.add(host);
      if (refused.size === this.#hosts.length) return undefined;
    }
    return undefined;
  }

  #firstFrom(value: number): number {
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#points[middle] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    return low === this.#points.length ? 0 : low;
  }
}
