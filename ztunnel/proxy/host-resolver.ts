/**
 * The addresses of endpoints that have a host name instead (ambient.md F38): asked of the node's
 * own name servers when a connection needs them, and remembered as long as they say, within bounds.
 */
import { Resolver } from "node:dns/promises";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import {
  HOST_ADDRESSES_MAX_MS,
  HOST_ADDRESSES_MIN_MS,
  HOST_LOOK_UP_TIMEOUT_MS,
  HOST_LOOK_UPS,
  HOST_NAMES,
  HOST_STALE_MS,
} from "../limits.ts";

export interface HostAddress {
  readonly address: string;
  /** Seconds. */
  readonly ttl: number;
}

/** Of both families; rejects or is empty where there are none. */
export type LookUpHost = (hostname: string) => Promise<readonly HostAddress[]>;

export interface HostResolverDeps {
  readonly lookUp: LookUpHost;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** A name server is asked. */
  readonly onLookUp: () => void;
}

interface Entry {
  readonly addresses: readonly IpAddress[];
  readonly expiresAt: number;
}

export class HostResolver {
  readonly #deps: HostResolverDeps;
  /** In the order of their look-ups. */
  readonly #entries = new Map<string, Entry>();
  readonly #pending = new Map<string, Promise<readonly IpAddress[]>>();

  constructor(deps: HostResolverDeps) {
    this.#deps = deps;
  }

  /** What is known now: undefined where it has to be looked up, empty where that has failed. */
  known(hostname: string): readonly IpAddress[] | undefined {
    const entry = this.#entries.get(hostname);
    return entry === undefined || entry.expiresAt <= this.#deps.now() ? undefined : entry.addresses;
  }

  /**
   * Looks a name up, once for all who wait for it. Empty where there is no address, after at most
   * HOST_LOOK_UP_TIMEOUT_MS, and at once where too many look-ups are under way. Never rejects.
   */
  resolve(hostname: string): Promise<readonly IpAddress[]> {
    const known = this.known(hostname);
    if (known !== undefined) return Promise.resolve(known);
    const pending = this.#pending.get(hostname);
    if (pending !== undefined) return pending;
    if (this.#pending.size >= HOST_LOOK_UPS) return Promise.resolve([]);
    const looking = this.#lookUp(hostname).finally(() => this.#pending.delete(hostname));
    this.#pending.set(hostname, looking);
    return looking;
  }

  async #lookUp(hostname: string): Promise<readonly IpAddress[]> {
    const { lookUp, now, onLookUp } = this.#deps;
    onLookUp();
    const found = await withinTime(lookUp(hostname)).catch(() => []);
    const usable = found.flatMap(({ address, ttl }) => {
      const ip = parseIp(address);
      return ip === undefined || !mayBeEndpoint(ip) ? [] : [{ ip, ttl }];
    });
    if (usable.length === 0) return this.#failed(hostname);
    const ttlMs = Math.min(...usable.map(({ ttl }) => ttl)) * 1000;
    const keptMs = Math.min(Math.max(ttlMs, HOST_ADDRESSES_MIN_MS), HOST_ADDRESSES_MAX_MS);
    const addresses = usable.map(({ ip }) => ip);
    this.#keep(hostname, { addresses, expiresAt: now() + keptMs });
    return addresses;
  }

  /** Addresses that were good lately are better than none. */
  #failed(hostname: string): readonly IpAddress[] {
    const now = this.#deps.now();
    const last = this.#entries.get(hostname);
    const stillGood = last !== undefined && now - last.expiresAt < HOST_STALE_MS;
    const addresses = stillGood ? last.addresses : [];
    if (!stillGood) this.#keep(hostname, { addresses, expiresAt: now + HOST_ADDRESSES_MIN_MS });
    return addresses;
  }

  #keep(hostname: string, entry: Entry): void {
    this.#entries.delete(hostname);
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined && this.#entries.size >= HOST_NAMES) this.#entries.delete(oldest);
    this.#entries.set(hostname, entry);
  }
}

/** Asks the name servers of this process's /etc/resolv.conf, for the addresses of both families. */
export function nodeLookUp(): LookUpHost {
  const resolver = new Resolver({ timeout: HOST_LOOK_UP_TIMEOUT_MS / 2, tries: 2 });
  return async (hostname) => {
    const answers = await Promise.allSettled([
      resolver.resolve4(hostname, { ttl: true }),
      resolver.resolve6(hostname, { ttl: true }),
    ]);
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  };
}

/** No answer may lead a connection back to its own pod, where it would not be checked again. */
function mayBeEndpoint(ip: IpAddress): boolean {
  return !(ip.startsWith("127.") || ip === "::1" || ip === "::" || ip.startsWith("0."));
}

function withinTime<Value>(promise: Promise<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    const late = new Error("no answer in time");
    const timer = setTimeout(() => reject(late), HOST_LOOK_UP_TIMEOUT_MS);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
