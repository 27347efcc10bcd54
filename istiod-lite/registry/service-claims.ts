/**
 * Who may have which host name and which address, where several Services and ServiceEntries ask for
 * the same. One service per name in each namespace; one of them canonical for everybody else; an
 * address has one owner, so that nobody diverts another's traffic by declaring its address.
 */
import type { IpAddress } from "#common/model/ip.ts";
import type { Visibility } from "#common/model/service.ts";

/** What one object asks for. */
export interface ServiceClaim {
  /** `<kind>/<namespace>/<name>`. */
  readonly key: string;
  readonly kind: "Service" | "ServiceEntry";
  readonly namespace: string;
  /** Infinity where nobody knows: such an object counts as the youngest. */
  readonly createdMs: number;
  readonly hosts: readonly string[];
  readonly visibility: Visibility;
  /** Single addresses; automatic ones were given to the object by this registry. */
  readonly addresses: ReadonlyMap<IpAddress, "given" | "automatic">;
}

export class ServiceClaims {
  readonly #claims = new Map<string, ServiceClaim>();
  readonly #byHost = new Map<string, Map<string, ServiceClaim>>();
  readonly #byAddress = new Map<IpAddress, Map<string, ServiceClaim>>();

  get(key: string): ServiceClaim | undefined {
    return this.#claims.get(key);
  }

  /** Replaces the claim of `key`, or withdraws it. Returns whose standing this may change. */
  replace(key: string, claim: ServiceClaim | undefined): ReadonlySet<string> {
    const before = this.#claims.get(key);
    const rivals = new Set([...this.#rivals(before), ...this.#rivals(claim)]);
    rivals.delete(key);
    if (before !== undefined) this.#unlink(before);
    if (claim !== undefined) this.#link(claim);
    return rivals;
  }

  /** The object that has the host in this namespace (ambient.md F35). */
  holder(namespace: string, host: string): ServiceClaim | undefined {
    let best: ServiceClaim | undefined;
    for (const claim of this.#byHost.get(host)?.values() ?? []) {
      if (claim.namespace !== namespace) continue;
      if (best === undefined || isBefore(claim, best)) best = claim;
    }
    return best;
  }

  /** Whether the object's service is the one that clients of other namespaces mean by the host. */
  isCanonical(key: string, host: string): boolean {
    if (this.#claims.get(key)?.kind === "Service") return true;
    let best: ServiceClaim | undefined;
    for (const claim of this.#byHost.get(host)?.values() ?? []) {
      if (claim.kind === "ServiceEntry" && claim.visibility === "namespace") continue;
      if (best === undefined || isBefore(claim, best)) best = claim;
    }
    return best?.key === key;
  }

  /** Whether any object claims the address. */
  isClaimed(ip: IpAddress): boolean {
    return this.#byAddress.has(ip);
  }

  /** The keys of all objects that claim the address. */
  claimants(ip: IpAddress): Iterable<string> {
    return this.#byAddress.get(ip)?.keys() ?? [];
  }

  /**
   * The object that keeps `key` from having the address for its host; undefined where nobody does.
   * A namespace that overrides a host for its own clients may have the canonical one's address too,
   * and what only one namespace sees stands in the way of nobody else.
   */
  obstacle(key: string, host: string, ip: IpAddress): ServiceClaim | undefined {
    const claim = this.#claims.get(key);
    if (claim === undefined) return undefined;
    let owner = claim;
    for (const rival of this.#byAddress.get(ip)?.values() ?? []) {
      if (!meet(claim, rival) || !isBefore(rival, owner, ip)) continue;
      if (!this.#overrides(claim, host, rival)) owner = rival;
    }
    return owner === claim ? undefined : owner;
  }

  #overrides(claim: ServiceClaim, host: string, other: ServiceClaim): boolean {
    if (other.kind === "Service" || other.namespace === claim.namespace) return false;
    return other.hosts.includes(host) && !this.isCanonical(claim.key, host);
  }

  *#rivals(claim: ServiceClaim | undefined): Iterable<string> {
    if (claim === undefined) return;
    for (const host of claim.hosts) yield* this.#byHost.get(host)?.keys() ?? [];
    for (const ip of claim.addresses.keys()) yield* this.claimants(ip);
  }

  #link(claim: ServiceClaim): void {
    this.#claims.set(claim.key, claim);
    for (const host of claim.hosts) addTo(this.#byHost, host, claim);
    for (const ip of claim.addresses.keys()) addTo(this.#byAddress, ip, claim);
  }

  #unlink(claim: ServiceClaim): void {
    this.#claims.delete(claim.key);
    for (const host of claim.hosts) removeFrom(this.#byHost, host, claim.key);
    for (const ip of claim.addresses.keys()) removeFrom(this.#byAddress, ip, claim.key);
  }
}

/** Whether there is a client to whom both are there. */
function meet(a: ServiceClaim, b: ServiceClaim): boolean {
  if (a.kind === "Service" || b.kind === "Service" || a.namespace === b.namespace) return true;
  return a.visibility === "public" && b.visibility === "public";
}

/**
 * Kubernetes Services first; then, for an address, who was given it by the registry, because others
 * can only have copied it; then the oldest. Source: istio/istio serviceregistry/ambient/services.go
 * for the order among hosts.
 */
function isBefore(a: ServiceClaim, b: ServiceClaim, ip?: IpAddress): boolean {
  if (a.kind !== b.kind) return a.kind === "Service";
  if (ip !== undefined && a.addresses.get(ip) !== b.addresses.get(ip)) {
    return a.addresses.get(ip) === "automatic";
  }
  if (a.createdMs !== b.createdMs) return a.createdMs < b.createdMs;
  return a.key < b.key;
}

function addTo<Key>(
  index: Map<Key, Map<string, ServiceClaim>>,
  at: Key,
  claim: ServiceClaim,
): void {
  const claims = index.get(at);
  if (claims === undefined) index.set(at, new Map([[claim.key, claim]]));
  else claims.set(claim.key, claim);
}

function removeFrom<Key>(index: Map<Key, Map<string, ServiceClaim>>, at: Key, key: string): void {
  const claims = index.get(at);
  if (claims?.delete(key) && claims.size === 0) index.delete(at);
}
