/**
 * Which endpoint of a service a connection goes to: random by weight among the eligible ones, which
 * are worked out once per service, port and place of the client, and kept until one of them
 * changes. Source of the rules: ambient.md F26 to F29.
 */
import type { IpAddress } from "#common/model/ip.ts";
import type { LoadBalancing, RoutingScope, Service, ServicePort } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { ENDPOINT_LISTS_PER_SERVICE } from "./limits.ts";
import type { EndpointSet, ProxyState } from "./proxy-state.ts";

export interface SelectOptions {
  /** The client: decides locality, and that endpoints of other networks are out of reach. */
  readonly sourceWorkload?: Workload;
  /** Uids of endpoints that have already failed. */
  readonly exclude?: ReadonlySet<string>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** The address family to prefer, where an endpoint has both; usually that of the VIP. */
  readonly family?: "ipv4" | "ipv6";
  /** A waypoint with an application tunnel need not list the port. @default false */
  readonly waypoint?: boolean;
  /**
   * What is known of the addresses of an endpoint that has a host name instead; undefined where it
   * has to be looked up. @default nothing is known
   */
  readonly addressesOf?: (hostname: string) => readonly IpAddress[] | undefined;
}

export interface SelectedEndpoint {
  readonly workload: Workload;
  /** Undefined where the endpoint's host name has to be looked up first. */
  readonly ip: IpAddress | undefined;
  readonly targetPort: number;
}

interface Candidate {
  readonly workload: Workload;
  readonly targetPort: number;
}

interface EndpointList {
  readonly candidates: readonly Candidate[];
  /** Running totals of the weights; undefined where all weigh the same. */
  readonly totals: readonly number[] | undefined;
}

interface CachedLists {
  readonly service: Service;
  readonly revision: number;
  readonly lists: Map<string, EndpointList>;
}

const cache = new WeakMap<EndpointSet, CachedLists>();
const EMPTY_LIST: EndpointList = { candidates: [], totals: undefined };
const NOTHING_EXCLUDED: ReadonlySet<string> = new Set();

/**
 * Undefined where no endpoint is eligible, and always in PASSTHROUGH mode: nothing is selected
 * then.
 */
export function selectEndpoint(
  state: ProxyState,
  service: Service,
  servicePort: number,
  options: SelectOptions,
): SelectedEndpoint | undefined {
  const list = endpointList(state, service, servicePort, options);
  const exclude = options.exclude ?? NOTHING_EXCLUDED;
  const chosen =
    choose(list, exclude, options.random) ??
    chooseFurther(state, service, servicePort, options, exclude);
  if (chosen === undefined) return undefined;
  const { workload, targetPort } = chosen;
  return { workload, targetPort, ip: addressOf(workload, options) };
}

/** Where all of the nearest endpoints have failed, FAILOVER goes on to the next nearest. */
function chooseFurther(
  state: ProxyState,
  service: Service,
  servicePort: number,
  options: SelectOptions,
  exclude: ReadonlySet<string>,
): Candidate | undefined {
  if (exclude.size === 0 || service.loadBalancing?.mode !== "failover") return undefined;
  const { workloads } = state.endpointsOf(service);
  const rest = [...workloads.values()].filter(({ uid }) => !exclude.has(uid));
  return choose(buildList(rest, service, servicePort, options), exclude, options.random);
}

function endpointList(
  state: ProxyState,
  service: Service,
  servicePort: number,
  options: SelectOptions,
): EndpointList {
  const endpoints = state.endpointsOf(service);
  if (endpoints.workloads.size === 0) return EMPTY_LIST;
  let cached = cache.get(endpoints);
  if (cached?.revision !== endpoints.revision || cached.service !== service) {
    cached = { service, revision: endpoints.revision, lists: new Map() };
    cache.set(endpoints, cached);
  }
  const key = listKey(service.loadBalancing, servicePort, options);
  let list = cached.lists.get(key);
  if (list === undefined) {
    if (cached.lists.size >= ENDPOINT_LISTS_PER_SERVICE) cached.lists.clear();
    list = buildList(endpoints.workloads.values(), service, servicePort, options);
    cached.lists.set(key, list);
  }
  return list;
}

/** Everything of the request that decides the list. */
function listKey(
  balancing: LoadBalancing | undefined,
  servicePort: number,
  { sourceWorkload: source, waypoint }: SelectOptions,
): string {
  const kind = waypoint === true ? "w" : "s";
  if (source === undefined) return `${kind}${servicePort}`;
  const ranked = balancing !== undefined && balancing.mode !== "unspecified";
  const place = ranked ? balancing.routingPreference.map((scope) => placeOf(source, scope)) : [];
  return [`${kind}${servicePort}`, source.network, ...place].join("\n");
}

function buildList(
  workloads: Iterable<Workload>,
  service: Service,
  servicePort: number,
  options: SelectOptions,
): EndpointList {
  const port = service.ports.find((candidate) => candidate.servicePort === servicePort);
  const eligible: Candidate[] = [];
  if (service.loadBalancing?.mode !== "passthrough") {
    for (const workload of workloads) {
      if (!isReachable(workload, service, options.sourceWorkload)) continue;
      const targetPort = targetPortOf(workload, service, servicePort, port, options);
      if (targetPort !== undefined) eligible.push({ workload, targetPort });
    }
  }
  const candidates = preferred(eligible, service.loadBalancing, options.sourceWorkload);
  return { candidates, totals: runningTotals(candidates) };
}

/**
 * Healthy or wanted anyway, with an address or a name, in the client's network: another network's
 * endpoints are behind a gateway, which this proxy does not use yet.
 */
export function isReachable(
  workload: Workload,
  service: Service,
  source: Workload | undefined,
): boolean {
  const addressable = workload.addresses.length > 0 || workload.hostname !== "";
  if (!addressable || workload.capacity <= 0 || workload.unusable !== undefined) return false;
  if (source !== undefined && workload.network !== source.network) return false;
  return workload.status === "healthy" || service.loadBalancing?.healthPolicy === "allow-all";
}

/**
 * The endpoint's own port where it says one, else the service's; 0 means "named", so each says its
 * own.
 */
export function targetPortOf(
  workload: Workload,
  service: Service,
  servicePort: number,
  port: ServicePort | undefined,
  options: Pick<SelectOptions, "waypoint">,
): number | undefined {
  const tunnelled = options.waypoint === true && workload.applicationTunnel !== undefined;
  if (port === undefined) return tunnelled ? servicePort : undefined;
  const own = workload.services
    .get(`${service.namespace}/${service.hostname}`)
    ?.find((candidate) => candidate.servicePort === servicePort);
  if (own !== undefined && own.targetPort > 0) return own.targetPort;
  if (port.targetPort > 0) return port.targetPort;
  return tunnelled ? servicePort : undefined;
}

/** STRICT keeps what matches every preference, FAILOVER those of the highest rank. */
function preferred(
  eligible: readonly Candidate[],
  balancing: LoadBalancing | undefined,
  source: Workload | undefined,
): readonly Candidate[] {
  if (balancing === undefined || balancing.mode === "unspecified" || source === undefined) {
    return eligible;
  }
  const wanted = balancing.routingPreference;
  const places = wanted.map((scope) => placeOf(source, scope));
  const ranks = eligible.map(({ workload }) => matchedScopes(workload, wanted, places));
  const required = balancing.mode === "strict" ? wanted.length : Math.max(0, ...ranks);
  return eligible.filter((_, i) => ranks[i] === required);
}

/** How many preferences match, counted from the first until one does not. */
function matchedScopes(
  workload: Workload,
  wanted: readonly RoutingScope[],
  places: readonly string[],
): number {
  const miss = wanted.findIndex((scope, i) => placeOf(workload, scope) !== places[i]);
  return miss < 0 ? wanted.length : miss;
}

/** The value of a workload that a routing scope compares. */
export function placeOf(workload: Workload, scope: RoutingScope): string {
  switch (scope) {
    case "region":
      return workload.locality.region;
    case "zone":
      return workload.locality.zone;
    case "subzone":
      return workload.locality.subzone;
    case "node":
      return workload.node;
    case "cluster":
      return workload.clusterId;
    case "network":
      return workload.network;
    case "unspecified":
      return "";
  }
}

function runningTotals(candidates: readonly Candidate[]): readonly number[] | undefined {
  const first = candidates[0]?.workload.capacity;
  if (candidates.every(({ workload }) => workload.capacity === first)) return undefined;
  let total = 0;
  return candidates.map(({ workload }) => {
    total += workload.capacity;
    return total;
  });
}

function choose(
  list: EndpointList,
  exclude: ReadonlySet<string>,
  random: () => number,
): Candidate | undefined {
  const chosen = list.candidates[chooseIndex(list, random())];
  if (chosen === undefined || !exclude.has(chosen.workload.uid)) return chosen;
  const candidates = list.candidates.filter(({ workload }) => !exclude.has(workload.uid));
  const rest = { candidates, totals: runningTotals(candidates) };
  return candidates[chooseIndex(rest, random())];
}

function chooseIndex({ candidates, totals }: EndpointList, random: number): number {
  if (totals === undefined) return Math.floor(random * candidates.length);
  const point = random * (totals.at(-1) ?? 0);
  let low = 0;
  let high = totals.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (point < (totals[middle] ?? 0)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Of the family that is preferred, if there is one; of several that a name has any. */
function addressOf(workload: Workload, options: SelectOptions): IpAddress | undefined {
  const { family, random, addressesOf } = options;
  const { addresses, hostname } = workload;
  const wantsIpv6 = family === "ipv6";
  const isWanted = (ip: IpAddress) => ip.includes(":") === wantsIpv6;
  if (addresses.length > 0) {
    return (family && addresses.find(isWanted)) ?? addresses[0];
  }
  const found = addressesOf?.(hostname) ?? [];
  const wanted = family === undefined ? [] : found.filter(isWanted);
  const eligible = wanted.length > 0 ? wanted : found;
  return eligible[Math.floor(random() * eligible.length)];
}
