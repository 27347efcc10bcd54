/**
 * The addresses that each object of the cluster published: what it does not publish any more is
 * withdrawn, unless another object has taken the name over.
 */
import { networkAddressKey, serviceKey } from "#common/model/address.ts";
import type { Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { encodeAddress } from "#common/xds/encode-workload.ts";
import { ADDRESS_TYPE } from "#common/xds/type-urls.ts";
import { workloadAliases } from "./pod-workload.ts";
import type { ResourceTable } from "./resource-table.ts";

export class Publications {
  readonly #table: ResourceTable;
  readonly #names = new Map<string, ReadonlySet<string>>();
  readonly #publishers = new Map<string, string>();

  constructor(table: ResourceTable) {
    this.#table = table;
  }

  /** Makes these everything that the object `key` (`<kind>/<namespace>/<name>`) publishes. */
  replace(key: string, services: readonly Service[], workloads: readonly Workload[]): void {
    const names = new Set<string>();
    for (const service of services) names.add(this.#publishService(service));
    for (const workload of workloads) names.add(this.#publishWorkload(workload));
    for (const name of this.#names.get(key) ?? []) {
      if (names.has(name) || this.#publishers.get(name) !== key) continue;
      this.#publishers.delete(name);
      this.#table.delete(ADDRESS_TYPE, name);
    }
    for (const name of names) this.#publishers.set(name, key);
    if (names.size === 0) this.#names.delete(key);
    else this.#names.set(key, names);
  }

  #publishWorkload(workload: Workload): string {
    this.#table.set({
      typeUrl: ADDRESS_TYPE,
      name: workload.uid,
      aliases: workloadAliases(workload),
      services: [...workload.services.keys()],
      value: encodeAddress({ kind: "workload", workload }),
    });
    return workload.uid;
  }

  #publishService(service: Service): string {
    const name = serviceKey(service);
    this.#table.set({
      typeUrl: ADDRESS_TYPE,
      name,
      aliases: service.addresses.filter(({ cidr }) => cidr === undefined).map(networkAddressKey),
      blocks: service.addresses.flatMap(({ network, cidr }) =>
        cidr === undefined ? [] : [{ network, cidr }],
      ),
      value: encodeAddress({ kind: "service", service }),
    });
    return name;
  }
}
