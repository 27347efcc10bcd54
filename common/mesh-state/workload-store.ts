/** Workloads by uid, by address and by hostname. */
import { networkAddressKey } from "#common/model/address.ts";
import type { IpAddress } from "#common/model/ip.ts";
import type { Workload } from "#common/model/workload.ts";
import { ClaimIndex } from "./claim-index.ts";

export class WorkloadStore {
  readonly #byUid = new Map<string, Workload>();
  readonly #byAddress = new ClaimIndex(addressKeys, addressRank);
  /** `<namespace>/<hostname>` of workloads that have a name instead of addresses. */
  readonly #byHostname = new ClaimIndex(hostnameKeys, () => 0);

  get size(): number {
    return this.#byUid.size;
  }

  values(): IterableIterator<Workload> {
    return this.#byUid.values();
  }

  get(uid: string): Workload | undefined {
    return this.#byUid.get(uid);
  }

  findByAddress(network: string, ip: IpAddress): Workload | undefined {
    return this.#byAddress.find(networkAddressKey({ network, ip }));
  }

  findByHostname(namespace: string, hostname: string): Workload | undefined {
    return this.#byHostname.find(`${namespace}/${hostname}`);
  }

  /** Puts the workload in place of the one with the same uid, which is returned. */
  put(workload: Workload): Workload | undefined {
    const previous = this.#byUid.get(workload.uid);
    this.#byUid.set(workload.uid, workload);
    this.#byAddress.put(workload, previous);
    this.#byHostname.put(workload, previous);
    return previous;
  }

  remove(uid: string): Workload | undefined {
    const previous = this.#byUid.get(uid);
    if (previous === undefined) return undefined;
    this.#byUid.delete(uid);
    this.#byAddress.remove(previous);
    this.#byHostname.remove(previous);
    return previous;
  }
}

/** Host-network workloads share their node's address, so they are not found by it. */
function addressKeys(workload: Workload): readonly string[] {
  if (workload.networkMode === "host-network") return [];
  return workload.addresses.map((ip) => networkAddressKey({ network: workload.network, ip }));
}

function hostnameKeys(workload: Workload): readonly string[] {
  return workload.hostname === "" ? [] : [`${workload.namespace}/${workload.hostname}`];
}

/**
 * A pod before what anybody may declare in a ServiceEntry or WorkloadEntry, so that nobody takes
 * over a pod's address; then one in the mesh. Source: istio/ztunnel src/state/workload.rs,
 * WorkloadByAddr.
 */
function addressRank(workload: Workload): number {
  return (workload.uid.includes("//Pod/") ? 2 : 0) + (workload.tunnelProtocol === "hbone" ? 1 : 0);
}
