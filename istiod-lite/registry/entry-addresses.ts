/** Which addresses the hosts of a ServiceEntry have that were not written into it. */
import type { ServiceEntry } from "#common/kubernetes/objects.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { AutomaticAddresses, parseAutomaticAddress } from "./automatic-addresses.ts";
import { namespacedName } from "./pod-facts.ts";
import { hostsWithoutAddress } from "./service-entry.ts";

export interface GivenAddress {
  readonly value: IpAddress;
  readonly host: string;
}

export class EntryAddresses {
  readonly #automatic = new AutomaticAddresses();
  /** The hosts that hold addresses, by the entry's key. */
  readonly #hosts = new Map<string, readonly string[]>();

  /**
   * The addresses of each host, in the order of the hosts; undefined for an entry that gets none.
   */
  of(entry: ServiceEntry): readonly GivenAddress[] | undefined {
    const key = namespacedName(entry);
    const hosts = this.#hosts.get(key);
    return hosts?.flatMap((host) => this.ofHost(key, host).map((value) => ({ value, host })));
  }

  ofHost(key: string, host: string): readonly IpAddress[] {
    return this.#automatic.of(holder(key, host)) ?? [];
  }

  /**
   * Brings the addresses in line with the entry (undefined: it is gone): keeps what each host has
   * or its status records, and releases the others. Hosts that still have none are given some by
   * `complete`.
   */
  update(key: string, entry: ServiceEntry | undefined): void {
    const wanted = entry === undefined ? [] : hostsWithoutAddress(entry);
    for (const host of this.#hosts.get(key) ?? []) {
      if (!wanted.includes(host)) this.#automatic.release(holder(key, host));
    }
    for (const host of wanted) {
      const recorded = recordedFor(entry, host);
      if (recorded.length > 0) this.#automatic.restore(holder(key, host), recorded);
    }
    if (wanted.length === 0) this.#hosts.delete(key);
    else this.#hosts.set(key, wanted);
  }

  /** Whether every host that should have an address has one. */
  isComplete(key: string): boolean {
    return (this.#hosts.get(key) ?? []).every((host) => this.ofHost(key, host).length > 0);
  }

  /** Gives addresses to hosts without. Returns those for which none are left. */
  complete(key: string, isFree: (ip: IpAddress) => boolean): readonly string[] {
    return (this.#hosts.get(key) ?? []).filter((host) => {
      if (this.ofHost(key, host).length > 0) return false;
      return this.#automatic.allocate(holder(key, host), isFree) === undefined;
    });
  }
}

/** Addresses of other blocks are not ours to hold, whoever wrote them there. */
function recordedFor(entry: ServiceEntry | undefined, host: string): readonly IpAddress[] {
  const recorded = (entry?.status?.addresses ?? []).filter((address) => address.host === host);
  return [...new Set(recorded.flatMap(({ value }) => parseAutomaticAddress(value) ?? []))];
}

function holder(key: string, host: string): string {
  return `${key}/${host}`;
}
