/** Host names as VirtualServices and DestinationRules write them. */
import { addToSet, deleteFromSet } from "../multi-map.ts";

const NOBODY: ReadonlySet<string> = new Set();

/** A name without a dot is a Service's of the own namespace; anything else stands for itself. */
export function fullHost(host: string, namespace: string, clusterDomain: string): string {
  if (host.includes(".") || host.startsWith("*")) return host;
  return `${host}.${namespace}.svc.${clusterDomain}`;
}

/** `*` covers everything, `*.a.b` everything below a.b. */
function covers(pattern: string, host: string): boolean {
  if (pattern === host || pattern === "*") return true;
  return pattern.startsWith("*.") && host.endsWith(pattern.slice(1));
}

/** ".", "*", "~" or namespaces; none: everybody. */
export function isExportedTo(
  targets: readonly string[] | undefined,
  namespace: string,
  to: string,
): boolean {
  if (targets === undefined || targets.length === 0 || targets.includes("*")) return true;
  return targets.includes(to) || (targets.includes(".") && to === namespace);
}

/** Keys by the hosts that they are for, found by host and by pattern. */
export class HostKeys {
  readonly #hosts = new Map<string, readonly string[]>();
  readonly #keys = new Map<string, Set<string>>();
  readonly #wildcards = new Set<string>();

  /** Replaces the hosts of a key; returns those that it has had before or has now. */
  set(key: string, hosts: readonly string[]): readonly string[] {
    const before = this.#hosts.get(key) ?? [];
    for (const host of before) {
      deleteFromSet(this.#keys, host, key);
      if (!this.#keys.has(host)) this.#wildcards.delete(host);
    }
    for (const host of hosts) {
      addToSet(this.#keys, host, key);
      if (host.startsWith("*")) this.#wildcards.add(host);
    }
    if (hosts.length === 0) this.#hosts.delete(key);
    else this.#hosts.set(key, hosts);
    return [...new Set([...before, ...hosts])];
  }

  hostsOf(key: string): readonly string[] {
    return this.#hosts.get(key) ?? [];
  }

  /** Keys with exactly this host. */
  at(host: string): ReadonlySet<string> {
    return this.#keys.get(host) ?? NOBODY;
  }

  /** The patterns that cover the host, the most specific first. */
  patternsFor(host: string): readonly string[] {
    const patterns = [...this.#wildcards].filter((each) => each !== host && covers(each, host));
    patterns.sort((a, b) => b.length - a.length);
    return this.#keys.has(host) ? [host, ...patterns] : patterns;
  }

  /** The hosts that the pattern covers. */
  *covered(pattern: string): Iterable<string> {
    if (!pattern.startsWith("*")) {
      if (this.#keys.has(pattern)) yield pattern;
      return;
    }
    for (const host of this.#keys.keys()) if (covers(pattern, host)) yield host;
  }
}
