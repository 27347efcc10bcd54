/** Which ServiceEntries claim which hosts, for references that go by the host's name. */
import type { ServiceEntry } from "#common/kubernetes/objects.ts";
import { addToSet, deleteFromSet } from "../multi-map.ts";

export class HostIndex {
  /** By `<namespace>/<name>` of the entry. */
  readonly #hosts = new Map<string, readonly string[]>();
  readonly #entries = new Map<string, Set<string>>();

  /** Replaces an entry's claims; returns the hosts that it has claimed before or does now. */
  set(key: string, entry: ServiceEntry | undefined): readonly string[] {
    const before = this.#hosts.get(key) ?? [];
    const now = entry?.spec.hosts ?? [];
    for (const host of before) deleteFromSet(this.#entries, host, key);
    for (const host of now) addToSet(this.#entries, host, key);
    if (now.length === 0) this.#hosts.delete(key);
    else this.#hosts.set(key, now);
    return [...new Set([...before, ...now])];
  }

  /** `<namespace>/<name>` of the entries that claim it, in order. */
  claimants(host: string): readonly string[] {
    return [...(this.#entries.get(host) ?? [])].sort();
  }
}
