/** What a Service or ServiceEntry asks for, as a claim beside those of all others. */
import type { KubeService, ServiceEntry } from "#common/kubernetes/objects.ts";
import type { IpAddress } from "#common/model/ip.ts";
import type { EntryAddresses } from "./entry-addresses.ts";
import { createdMs, namespacedName } from "./pod-facts.ts";
import type { ServiceClaim } from "./service-claims.ts";
import { givenAddresses } from "./service-entry.ts";
import { clusterIps, isMeshService, serviceHostname } from "./service-resource.ts";
import { entryExport, serviceExport } from "./visibility.ts";

/** Undefined for a service that no proxy hears of. */
export function serviceClaim(
  service: KubeService | undefined,
  clusterDomain: string,
): ServiceClaim | undefined {
  if (service === undefined || !isMeshService(service)) return undefined;
  const { visibility } = serviceExport(service);
  if (visibility === "none") return undefined;
  return {
    key: `Service/${namespacedName(service)}`,
    kind: "Service",
    namespace: service.metadata.namespace ?? "default",
    createdMs: createdMs(service),
    hosts: [serviceHostname(service, clusterDomain)],
    visibility,
    addresses: new Map(clusterIps(service).map((ip) => [ip, "given"])),
  };
}

/** Undefined for an entry that no proxy hears of. */
export function entryClaim(
  entry: ServiceEntry | undefined,
  given: EntryAddresses,
): ServiceClaim | undefined {
  if (entry === undefined) return undefined;
  const { visibility } = entryExport(entry);
  if (visibility === "none") return undefined;
  const addresses = new Map<IpAddress, "given" | "automatic">();
  for (const { value } of given.of(entry) ?? []) addresses.set(value, "automatic");
  for (const ip of givenAddresses(entry).ips) addresses.set(ip, "given");
  return {
    key: `ServiceEntry/${namespacedName(entry)}`,
    kind: "ServiceEntry",
    namespace: entry.metadata.namespace ?? "default",
    createdMs: createdMs(entry),
    hosts: [...new Set(entry.spec.hosts)],
    visibility,
    addresses,
  };
}
