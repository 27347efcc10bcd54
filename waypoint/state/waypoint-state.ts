/**
 * What a waypoint was told: its gateway, its services, its backends. Immutable: who holds one sees
 * the same answers for as long as it holds it, and a change costs what it touches and a copy of the
 * indexes.
 */
import { CidrTable } from "#common/mesh-state/cidr-table.ts";
import { serviceKey } from "#common/model/address.ts";
import { type IpAddress, parseCidr, parseIp } from "#common/model/ip.ts";
import type { BackendConfig } from "#common/model/waypoint/backend.ts";
import type {
  GatewayConfig,
  PortConfig,
  ServiceConfig,
  WaypointResource,
} from "#common/model/waypoint/resource.ts";

/** Set by its xDS name, or gone. */
export interface WaypointChange {
  readonly upserts: readonly { readonly name: string; readonly value: WaypointResource }[];
  readonly removed: readonly string[];
}

/** Several services may have one address or name; in the order of their keys. */
type ServiceIndex = ReadonlyMap<string, readonly ServiceConfig[]>;

interface Contents {
  readonly resources: ReadonlyMap<string, WaypointResource>;
  readonly gateway: GatewayConfig | undefined;
  readonly byAddress: ServiceIndex;
  /** In lower case; `*.example.com` stands for everything below it. */
  readonly byHostname: ServiceIndex;
  readonly blocks: CidrTable<ServiceConfig>;
  readonly backends: ReadonlyMap<string, BackendConfig>;
}

export class WaypointState {
  static readonly EMPTY = new WaypointState({
    resources: new Map(),
    gateway: undefined,
    byAddress: new Map(),
    byHostname: new Map(),
    blocks: new CidrTable(),
    backends: new Map(),
  });
  readonly #contents: Contents;

  private constructor(contents: Contents) {
    this.#contents = contents;
  }

  /** The state after a change; removals first, and of nothing but what is named. */
  with({ upserts, removed }: WaypointChange): WaypointState {
    const resources = new Map(this.#contents.resources);
    const gone: WaypointResource[] = [];
    for (const name of removed) {
      const before = resources.get(name);
      if (before !== undefined) gone.push(before);
      resources.delete(name);
    }
    for (const { name, value } of upserts) {
      const before = resources.get(name);
      if (before !== undefined) gone.push(before);
      resources.set(name, value);
    }
    const values = upserts.map(({ value }) => value);
    return new WaypointState(reindexed(this.#contents, resources, gone, values));
  }

  get gateway(): GatewayConfig | undefined {
    return this.#contents.gateway;
  }

  *services(): Generator<ServiceConfig> {
    for (const resource of this.#contents.resources.values()) {
      if (resource.kind === "service") yield resource;
    }
  }

  backends(): Iterable<BackendConfig> {
    return this.#contents.backends.values();
  }

  /**
   * By its VIP, else by the longest block. Of several the one of the client's namespace comes
   * first, as it does at the client's ztunnel.
   */
  serviceAt(ip: IpAddress, clientNamespace: string): ServiceConfig | undefined {
    const { byAddress, blocks } = this.#contents;
    const exact = preferred(byAddress.get(ip), clientNamespace);
    if (exact !== undefined) return exact;
    for (const services of blocks.find(ip)) return preferred(services, clientNamespace);
    return undefined;
  }

  /** By the whole name, else by the longest wildcard above it. */
  serviceNamed(hostname: string, clientNamespace: string): ServiceConfig | undefined {
    const { byHostname } = this.#contents;
    const name = hostname.toLowerCase();
    const exact = byHostname.get(name);
    if (exact !== undefined) return preferred(exact, clientNamespace);
    for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
      const above = byHostname.get(`*${name.slice(dot)}`);
      if (above !== undefined) return preferred(above, clientNamespace);
    }
    return undefined;
  }

  backend(namespace: string, hostname: string): BackendConfig | undefined {
    return this.#contents.backends.get(serviceKey({ namespace, hostname }));
  }
}

export function portOf(service: ServiceConfig, port: number): PortConfig | undefined {
  return service.ports.find((candidate) => candidate.port === port);
}

function reindexed(
  before: Contents,
  resources: ReadonlyMap<string, WaypointResource>,
  gone: readonly WaypointResource[],
  come: readonly WaypointResource[],
): Contents {
  const servicesGone = gone.filter(isService);
  const servicesCome = come.filter(isService);
  const withServices = servicesGone.length + servicesCome.length > 0;
  const backends = new Map(before.backends);
  for (const one of gone) if (one.kind === "backend") backends.delete(serviceKey(one));
  for (const one of come) if (one.kind === "backend") backends.set(serviceKey(one), one);
  const lost = gone.some(({ kind }) => kind === "gateway");
  const gateway = come.find((one) => one.kind === "gateway");
  return {
    resources,
    gateway: gateway ?? (lost ? undefined : before.gateway),
    backends,
    ...(withServices
      ? {
          byAddress: moved(before.byAddress, servicesGone, servicesCome, addressKeys),
          byHostname: moved(before.byHostname, servicesGone, servicesCome, hostnameKeys),
          blocks: [...servicesGone, ...servicesCome].some((one) => blocksOf(one).length > 0)
            ? blockTable(resources)
            : before.blocks,
        }
      : { byAddress: before.byAddress, byHostname: before.byHostname, blocks: before.blocks }),
  };
}

function moved(
  index: ServiceIndex,
  gone: readonly ServiceConfig[],
  come: readonly ServiceConfig[],
  keysOf: (service: ServiceConfig) => readonly string[],
): ServiceIndex {
  const next = new Map(index);
  for (const service of gone) {
    for (const key of keysOf(service)) {
      const rest = (next.get(key) ?? []).filter((other) => other !== service);
      if (rest.length === 0) next.delete(key);
      else next.set(key, rest);
    }
  }
  for (const service of come) {
    for (const key of keysOf(service)) next.set(key, inOrder([...(next.get(key) ?? []), service]));
  }
  return next;
}

function blockTable(resources: ReadonlyMap<string, WaypointResource>): CidrTable<ServiceConfig> {
  const table = new CidrTable<ServiceConfig>();
  const services = inOrder([...resources.values()].filter(isService));
  for (const service of services) {
    for (const block of blocksOf(service)) table.add(block, service);
  }
  return table;
}

function isService(resource: WaypointResource): resource is ServiceConfig {
  return resource.kind === "service";
}

function addressKeys({ addresses }: ServiceConfig): readonly string[] {
  return addresses.flatMap((text) => parseIp(text) ?? []);
}

function blocksOf({ addresses }: ServiceConfig) {
  return addresses.flatMap((text) => (text.includes("/") ? (parseCidr(text) ?? []) : []));
}

function hostnameKeys({ hostname }: ServiceConfig): readonly string[] {
  return [hostname.toLowerCase()];
}

function inOrder(services: readonly ServiceConfig[]): readonly ServiceConfig[] {
  return services.toSorted((a, b) => (serviceKey(a) < serviceKey(b) ? -1 : 1));
}

function preferred(
  services: readonly ServiceConfig[] | undefined,
  clientNamespace: string,
): ServiceConfig | undefined {
  return services?.find(({ namespace }) => namespace === clientNamespace) ?? services?.[0];
}
