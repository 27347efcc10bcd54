/** What of a ServiceEntry or WorkloadEntry is in force beside others that want the same. */
import type { ServiceEntry, WorkloadEntry, WorkloadEntrySpec } from "#common/kubernetes/objects.ts";
import type { ServiceAddress } from "#common/model/address.ts";
import { type IpAddress, ipFromBytes, parseCidr, parseIp } from "#common/model/ip.ts";
import type { NetworkMode } from "#common/model/workload.ts";
import type { EntryIssue } from "./entry-status.ts";
import { namespacedName } from "./pod-facts.ts";
import { givenAddresses, needsWaypoint } from "./service-entry.ts";
import type { Stores } from "./stores.ts";
import { entryExport } from "./visibility.ts";

export class EntryDispute {
  readonly #stores: Stores;

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  /** The hosts whose service in this namespace is this entry's. */
  hostsWon(entry: ServiceEntry): readonly string[] {
    const { namespace = "default" } = entry.metadata;
    const key = `ServiceEntry/${namespacedName(entry)}`;
    const hosts = this.#stores.claims.get(key)?.hosts ?? [];
    return hosts.filter((host) => this.#stores.claims.holder(namespace, host)?.key === key);
  }

  /** The addresses of the host: given ones that nobody else has, or automatic ones. */
  addressesWon(entry: ServiceEntry, host: string): readonly ServiceAddress[] {
    const key = namespacedName(entry);
    const { ips, blocks } = givenAddresses(entry);
    const all = [...ips, ...this.#stores.addresses.ofHost(key, host)];
    const single = all.filter((ip) => this.#obstacle(entry, host, ip) === undefined);
    return [
      ...single.map((ip) => ({ network: "", ip })),
      ...blocks.flatMap((cidr) => {
        const ip = ipFromBytes(cidr.bytes);
        return ip === undefined ? [] : [{ network: "", ip, cidr }];
      }),
    ];
  }

  /** The pod that has the endpoint's address: no entry gives it a second record. */
  podAt({ address = "", network = "" }: WorkloadEntrySpec): string | undefined {
    const ip = parseIp(address);
    if (ip === undefined || network !== "") return undefined;
    return this.#podOf(ip);
  }

  /**
   * An address that several objects name, or that is a service's, leads to one of them only: the
   * others' workloads are reached through their services, as those of unknown EndpointSlices are.
   */
  networkMode(key: string, { address = "" }: WorkloadEntrySpec): NetworkMode {
    const ip = parseIp(address);
    if (ip === undefined) return "standard";
    const { claims, entries } = this.#stores;
    return claims.isClaimed(ip) || entries.owner(ip) !== key ? "host-network" : "standard";
  }

  workloadEntryIssues({ spec }: WorkloadEntry): readonly EntryIssue[] {
    const field = "spec.address";
    if ((spec.address ?? "") === "") {
      const message = "there is none, and network gateways are not supported";
      return [{ field, message, cause: "unsupported" }];
    }
    const pod = this.podAt(spec);
    if (pod === undefined) return [];
    const message = `${spec.address} is the address of Pod ${pod}, which stays that pod's`;
    return [{ field, message, cause: "invalid" }];
  }

  serviceEntryIssues(entry: ServiceEntry): readonly EntryIssue[] {
    return [
      ...this.#resolutionIssues(entry),
      ...exportIssues(entry),
      ...this.#hostIssues(entry),
      ...this.#addressIssues(entry),
      ...this.#endpointIssues(entry),
    ];
  }

  /** Whether a waypoint is there for an entry that takes one; true of all others. */
  hasWhatItNeeds(entry: ServiceEntry): boolean {
    if (!needsWaypoint(entry)) return true;
    const { waypoint } = this.#stores.bindings.of(`ServiceEntry/${namespacedName(entry)}`);
    return waypoint !== undefined;
  }

  #resolutionIssues(entry: ServiceEntry): readonly EntryIssue[] {
    if (this.hasWhatItNeeds(entry)) return [];
    const message = "DYNAMIC_DNS needs a waypoint, and this service has none";
    return [{ field: "spec.resolution", message, cause: "unsupported" }];
  }

  #hostIssues(entry: ServiceEntry): readonly EntryIssue[] {
    const { namespace = "default" } = entry.metadata;
    const claim = this.#stores.claims.get(`ServiceEntry/${namespacedName(entry)}`);
    return entry.spec.hosts.flatMap((host, i) => {
      const holder = claim && this.#stores.claims.holder(namespace, host);
      if (holder === undefined || holder === claim) return [];
      const message = `${host} is served by ${holder.key} already`;
      return [{ field: `spec.hosts[${i}]`, message, cause: "invalid" }];
    });
  }

  #addressIssues(entry: ServiceEntry): readonly EntryIssue[] {
    const given = (entry.spec.addresses ?? []).flatMap((text, i): readonly EntryIssue[] => {
      const block = parseCidr(text);
      const ip = block && block.length === block.bytes.length * 8 && ipFromBytes(block.bytes);
      if (!ip) return [];
      const obstacles = this.hostsWon(entry).map((host) => this.#obstacle(entry, host, ip));
      const [obstacle] = obstacles.filter((each) => each !== undefined);
      if (obstacle === undefined) return [];
      const message = `${ip} belongs to ${obstacle}, which keeps it`;
      return [{ field: `spec.addresses[${i}]`, message, cause: "invalid" }];
    });
    const key = namespacedName(entry);
    if (this.#stores.addresses.isComplete(key)) return given;
    const message = "no automatic address is left for a host without one";
    return [...given, { field: "spec.addresses", message, cause: "invalid" }];
  }

  #endpointIssues(entry: ServiceEntry): readonly EntryIssue[] {
    const { namespace = "default" } = entry.metadata;
    return (entry.spec.endpoints ?? []).flatMap((endpoint, i): readonly EntryIssue[] => {
      const field = `spec.endpoints[${i}].address`;
      if ((endpoint.address ?? "") === "") {
        const message = "there is none, and network gateways are not supported";
        return [{ field, message, cause: "unsupported" }];
      }
      const pod = this.podAt(endpoint);
      if (pod === undefined || pod.startsWith(`${namespace}/`)) return [];
      const message = `${endpoint.address} is the address of Pod ${pod}, of another namespace`;
      return [{ field, message, cause: "invalid" }];
    });
  }

  /** The pod that has the address; of several, as while one replaces another, the first by name. */
  #podOf(ip: IpAddress): string | undefined {
    return [...this.#stores.pods.atAddress(ip)].sort()[0];
  }

  /** What keeps the entry from having the address, by name. */
  #obstacle(entry: ServiceEntry, host: string, ip: IpAddress): string | undefined {
    const pod = this.#podOf(ip);
    if (pod !== undefined) return `Pod/${pod}`;
    const key = `ServiceEntry/${namespacedName(entry)}`;
    return this.#stores.claims.obstacle(key, host, ip)?.key;
  }
}

function exportIssues(entry: ServiceEntry): readonly EntryIssue[] {
  const { excluded, visibility } = entryExport(entry);
  if (excluded.length === 0) return [];
  const who = visibility === "none" ? "nobody sees it" : "only its own namespace sees it";
  const message = `ztunnel knows "." and "*" only: ${who}, not ${excluded.join(", ")}`;
  return [{ field: "spec.exportTo", message, cause: "unsupported" }];
}
