/** Which of a backend's endpoints gets the next request. Pure: chance comes in. */
import { HashRing } from "./hash-ring.ts";

/** What a balancer has to know of an endpoint. */
export interface Balanced {
  /** Stable, so that a hash leads to the same endpoint everywhere. */
  readonly id: string;
  /** Above 0. */
  readonly weight: number;
  /** Requests under way. */
  readonly active: number;
}

export interface Balancer<Host extends Balanced> {
  /** One that is usable; undefined where none is. `hash` is for consistent hashing. */
  pick(usable: (host: Host) => boolean, hash: number | undefined): Host | undefined;
}

export type BalancerKind = "round-robin" | "least-request" | "random" | "consistent-hash";

/** For a list that does not change; `random` is uniform in [0, 1). */
export function createBalancer<Host extends Balanced>(
  kind: BalancerKind,
  hosts: readonly Host[],
  random: () => number,
): Balancer<Host> {
  switch (kind) {
    case "round-robin":
      return new RoundRobin(hosts, random);
    case "least-request":
      return new LeastRequest(hosts, random);
    case "random":
      return new Random(hosts, random);
    case "consistent-hash":
      return new ConsistentHash(hosts, random);
  }
}

/** In turn; by nginx's smooth weighted turns where weights differ. Begins anywhere. */
class RoundRobin<Host extends Balanced> implements Balancer<Host> {
  readonly #hosts: readonly Host[];
  readonly #credits: number[] | undefined;
  readonly #total: number;
  #next: number;

  constructor(hosts: readonly Host[], random: () => number) {
    this.#hosts = hosts;
    this.#next = Math.floor(random() * hosts.length);
    this.#total = hosts.reduce((sum, { weight }) => sum + weight, 0);
    this.#credits = sameWeights(hosts) ? undefined : hosts.map(() => random() * this.#total);
  }

  pick(usable: (host: Host) => boolean): Host | undefined {
    return this.#credits === undefined ? this.#inTurn(usable) : this.#byCredit(usable);
  }

  #inTurn(usable: (host: Host) => boolean): Host | undefined {
    const hosts = this.#hosts;
    for (let i = 0; i < hosts.length; i++) {
      const host = hosts[this.#next % hosts.length];
      this.#next = (this.#next + 1) % hosts.length;
      if (host !== undefined && usable(host)) return host;
    }
    return undefined;
  }

  /** Each gets its weight as credit, and who has most pays for a turn what all got. */
  #byCredit(usable: (host: Host) => boolean): Host | undefined {
    const credits = this.#credits ?? [];
    let best = -1;
    let total = 0;
    for (const [i, host] of this.#hosts.entries()) {
      if (!usable(host)) continue;
      total += host.weight;
      credits[i] = (credits[i] ?? 0) + host.weight;
      if (best < 0 || (credits[i] ?? 0) > (credits[best] ?? 0)) best = i;
    }
    if (best < 0) return undefined;
    credits[best] = (credits[best] ?? 0) - total;
    return this.#hosts[best];
  }
}

class Random<Host extends Balanced> implements Balancer<Host> {
  readonly #draw: WeightedDraw<Host>;

  constructor(hosts: readonly Host[], random: () => number) {
    this.#draw = new WeightedDraw(hosts, random);
  }

  pick(usable: (host: Host) => boolean): Host | undefined {
    return this.#draw.next(usable);
  }
}

/** The less busy of two. Source: Envoy, LEAST_REQUEST with choice_count 2. */
class LeastRequest<Host extends Balanced> implements Balancer<Host> {
  readonly #draw: WeightedDraw<Host>;

  constructor(hosts: readonly Host[], random: () => number) {
    this.#draw = new WeightedDraw(hosts, random);
  }

  pick(usable: (host: Host) => boolean): Host | undefined {
    const first = this.#draw.next(usable);
    const second = first && this.#draw.next((host) => host !== first && usable(host));
    if (first === undefined || second === undefined) return first;
    return load(second) < load(first) ? second : first;
  }
}

/** Weights have decided who is drawn; they count no second time. */
function load({ active }: Balanced): number {
  return active;
}

class ConsistentHash<Host extends Balanced> implements Balancer<Host> {
  readonly #ring: HashRing<Host>;
  readonly #random: () => number;

  constructor(hosts: readonly Host[], random: () => number) {
    this.#ring = new HashRing(hosts);
    this.#random = random;
  }

  /** A request without the key goes anywhere. */
  pick(usable: (host: Host) => boolean, hash: number | undefined): Host | undefined {
    return this.#ring.find(hash ?? Math.floor(this.#random() * 2 ** 32), usable);
  }
}

/** Random by weight. */
class WeightedDraw<Host extends Balanced> {
  readonly #hosts: readonly Host[];
  readonly #random: () => number;
  /** Running totals; undefined where all weigh the same. */
  readonly #totals: readonly number[] | undefined;

  constructor(hosts: readonly Host[], random: () => number) {
    this.#hosts = hosts;
    this.#random = random;
    this.#totals = sameWeights(hosts) ? undefined : runningTotals(hosts);
  }

  next(usable: (host: Host) => boolean): Host | undefined {
    const hosts = this.#hosts;
    const drawn = hosts[this.#index()];
    if (drawn === undefined || usable(drawn)) return drawn;
    const rest = hosts.filter(usable);
    if (rest.length === 0) return undefined;
    return new WeightedDraw(rest, this.#random).next(() => true);
  }

  #index(): number {
    const totals = this.#totals;
    if (totals === undefined) return Math.floor(this.#random() * this.#hosts.length);
    const point = this.#random() * (totals.at(-1) ?? 0);
    let low = 0;
    let high = totals.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (point < (totals[middle] ?? 0)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function sameWeights(hosts: readonly Balanced[]): boolean {
  const first = hosts[0]?.weight;
  return hosts.every(({ weight }) => weight === first);
}

function runningTotals(hosts: readonly Balanced[]): readonly number[] {
  let total = 0;
  return hosts.map(({ weight }) => {
    total += weight;
    return total;
  });
}
