/** Gives services their addresses, the same ones for as long as a service exists. */
import { type KubeService, objectKey } from "#common/kubernetes/objects.ts";
import { type IpAddress, isIpv6Address, parseIp } from "#common/model/ip.ts";
import { AddressPool, SERVICE_IPV4, SERVICE_IPV6 } from "#meshctl/local/network/addresses.ts";

type IpFamily = "IPv4" | "IPv6";

/** Numbers up to here are for addresses that a service asks for by number, as kube-dns does. */
const FIRST_DYNAMIC_INDEX = 16;

export class ServiceAddresses {
  readonly #pool = new AddressPool([SERVICE_IPV4, SERVICE_IPV6], FIRST_DYNAMIC_INDEX);
  readonly #held = new Map<string, readonly IpAddress[]>();

  /** Frees the addresses of services that are not among these. */
  keep(services: readonly KubeService[]): void {
    const keys = new Set(services.map(objectKey));
    for (const [key, ips] of this.#held) {
      if (keys.has(key)) continue;
      this.#pool.release(ips);
      this.#held.delete(key);
    }
  }

  /**
   * The service as an API server would show it: type, families and addresses filled in. A string
   * says why it cannot have the address it asks for.
   */
  complete(service: KubeService): KubeService | string {
    const { spec } = service;
    const type = spec.type ?? "ClusterIP";
    if (type === "ExternalName") return service;
    const ipFamilies = familiesOf(service);
    const ipFamilyPolicy = spec.ipFamilyPolicy ?? "SingleStack";
    const filled = { ...spec, type, ipFamilies, ipFamilyPolicy };
    if (spec.clusterIP === "None") {
      return { ...service, spec: { ...filled, clusterIPs: ["None"] } };
    }
    const ips = this.#addresses(service);
    if (typeof ips === "string") return ips;
    const clusterIPs = ipFamilies.flatMap(
      (family) => ips.find((ip) => isIpv6Address(ip) === (family === "IPv6")) ?? [],
    );
    const [clusterIP = ""] = clusterIPs;
    return { ...service, spec: { ...filled, clusterIP, clusterIPs } };
  }

  #addresses(service: KubeService): readonly IpAddress[] | string {
    const key = objectKey(service);
    const held = this.#held.get(key);
    const asked = service.spec.clusterIP ?? service.spec.clusterIPs?.[0] ?? "";
    const ip = asked === "" ? undefined : parseIp(asked);
    if (asked !== "" && ip === undefined) return `clusterIP ${asked} is not an address`;
    if (held !== undefined && (ip === undefined || held.includes(ip))) return held;
    const ips = ip === undefined ? this.#pool.allocate() : this.#pool.claim(ip);
    if (ips === undefined) {
      return ip === undefined
        ? "all service addresses are taken"
        : `clusterIP ${ip} is taken, or not in 10.96.0.0/16 and fd00:10:96::/112`;
    }
    if (held !== undefined) this.#pool.release(held);
    this.#held.set(key, ips);
    return ips;
  }
}

/** IPv4 unless the service says otherwise: the family that this cluster names first. */
function familiesOf(service: KubeService): readonly IpFamily[] {
  const { ipFamilies, ipFamilyPolicy = "SingleStack", clusterIPs = [] } = service.spec;
  const asked = clusterIPs.flatMap((text) => parseIp(text) ?? []);
  const first: IpFamily =
    ipFamilies?.[0] ?? (asked[0] !== undefined && isIpv6Address(asked[0]) ? "IPv6" : "IPv4");
  const both = ipFamilyPolicy !== "SingleStack" || (ipFamilies?.length ?? 0) > 1;
  if (!both) return [first];
  return first === "IPv4" ? ["IPv4", "IPv6"] : ["IPv6", "IPv4"];
}
