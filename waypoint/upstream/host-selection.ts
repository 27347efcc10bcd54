/**
 * Which of a backend's endpoints are in use (the nearest that are not ejected), and which of those
 * gets the next request.
 */
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import type { BackendHost } from "./backend-host.ts";
import { type Balancer, type BalancerKind, createBalancer } from "./balancer.ts";
import { WARMUP_PICKS } from "./limits.ts";
import { isPanic, OutlierDetector } from "./outlier-detection.ts";
import type { AttemptOutcome } from "./upstream.ts";
import { warmth } from "./warmup.ts";

export interface SelectionClock {
  readonly now: () => number;
  readonly random: () => number;
}

export class HostSelection {
  readonly #hosts: readonly BackendHost[];
  readonly #policy: TrafficPolicy;
  readonly #clock: SelectionClock;
  readonly #detector: OutlierDetector | undefined;
  /** Made anew when other endpoints are in. */
  #balancer: Balancer<BackendHost> | undefined;

  constructor(hosts: readonly BackendHost[], policy: TrafficPolicy, clock: SelectionClock) {
    this.#hosts = hosts;
    this.#policy = policy;
    this.#clock = clock;
    const outliers = policy.outlierDetection;
    this.#detector = outliers && new OutlierDetector(outliers, clock.now());
  }

  /** Those that were tried are taken only where nobody else is left. */
  pick(exclude: ReadonlySet<string>, hash: number | undefined): BackendHost | undefined {
    const { now } = this.#clock;
    if (this.#detector?.sweep(healths(this.#hosts), now())) this.#balancer = undefined;
    this.#balancer ??= this.#makeBalancer();
    const host = this.#pickFrom(this.#balancer, exclude, hash);
    if (host?.health.state === "half-open") host.health.trying = true;
    return host;
  }

  /** What became of a request. */
  note(host: BackendHost, outcome: AttemptOutcome): void {
    const pool = { size: this.#hosts.length, now: this.#clock.now() };
    if (this.#detector?.note(host.health, outcome, pool)) this.#balancer = undefined;
  }

  #pickFrom(
    balancer: Balancer<BackendHost>,
    exclude: ReadonlySet<string>,
    hash: number | undefined,
  ): BackendHost | undefined {
    if (exclude.size === 0) return this.#pickWarm(balancer, isFree, hash);
    const fresh = (host: BackendHost): boolean => isFree(host) && !exclude.has(host.id);
    return (
      this.#pickWarm(balancer, fresh, hash) ??
      this.#pickFarther(fresh) ??
      balancer.pick(isFree, hash)
    );
  }

  /** Where all of the nearest were tried, the next nearest. */
  #pickFarther(fresh: (host: BackendHost) => boolean): BackendHost | undefined {
    const rest = this.#hosts.filter((host) => host.health.state !== "ejected" && fresh(host));
    return createBalancer("random", nearest(rest), this.#clock.random).pick(() => true, undefined);
  }

  #pickWarm(
    balancer: Balancer<BackendHost>,
    usable: (host: BackendHost) => boolean,
    hash: number | undefined,
  ): BackendHost | undefined {
    const { loadBalancer } = this.#policy;
    let host = balancer.pick(usable, hash);
    if (loadBalancer?.warmupMs === undefined || loadBalancer.kind === "consistent-hash")
      return host;
    const { now, random } = this.#clock;
    for (let i = 0; i < WARMUP_PICKS && host?.addedAt !== undefined; i++) {
      if (random() < warmth(loadBalancer, now() - host.addedAt)) return host;
      host = balancer.pick(usable, hash);
    }
    return host;
  }

  #makeBalancer(): Balancer<BackendHost> {
    const hosts = this.#hosts;
    const outliers = this.#policy.outlierDetection;
    const inside = hosts.filter(({ health }) => health.state !== "ejected");
    const panic = outliers !== undefined && isPanic(outliers, inside.length, hosts.length);
    const kind = balancerKind(this.#policy);
    return createBalancer(kind, nearest(panic ? hosts : inside), this.#clock.random);
  }
}

/** Source: Istio's default for clusters, LEAST_REQUEST. */
function balancerKind({ loadBalancer }: TrafficPolicy): BalancerKind {
  const kind = loadBalancer?.kind ?? "least-request";
  return kind === "passthrough" ? "random" : kind;
}

function nearest(hosts: readonly BackendHost[]): readonly BackendHost[] {
  const tier = hosts.reduce((least, { record }) => Math.min(least, record.tier), Infinity);
  return hosts.filter(({ record }) => record.tier === tier);
}

/** One that is being tried again gets no second request meanwhile. */
function isFree({ health }: BackendHost): boolean {
  return health.state !== "half-open" || !health.trying;
}

function* healths(hosts: readonly BackendHost[]) {
  for (const { health } of hosts) yield health;
}
