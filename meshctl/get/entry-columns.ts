/** What `meshctl get` shows of ServiceEntries and WorkloadEntries. */
import type { ServiceEntry, WorkloadEntry } from "#common/kubernetes/objects.ts";

const NONE = "-";

interface Columns {
  readonly header: readonly string[];
  readonly cells: readonly string[];
}

/** Addresses that were given to its hosts count as its own. */
export function serviceEntryColumns({ spec, status }: ServiceEntry): Columns {
  const given = spec.addresses ?? [];
  const automatic = status?.addresses?.map(({ value }) => value) ?? [];
  const ports = spec.ports?.map(({ number, protocol = "TCP" }) => `${number}/${protocol}`);
  return {
    header: ["HOSTS", "ADDRESSES", "PORTS", "RESOLUTION"],
    cells: [
      spec.hosts.join(","),
      (given.length > 0 ? given : automatic).join(",") || NONE,
      ports?.join(",") || NONE,
      spec.resolution ?? "NONE",
    ],
  };
}

export function workloadEntryColumns({ spec }: WorkloadEntry): Columns {
  return {
    header: ["ADDRESS", "SERVICE ACCOUNT", "NETWORK"],
    cells: [spec.address || NONE, spec.serviceAccount || NONE, spec.network || NONE],
  };
}
