/**
 * Addresses for the hosts of ServiceEntries that have none (ambient.md F33). The same host of the
 * same ServiceEntry gets the same address again, in another process or after a loss of its status:
 * the first choice follows from its name. What a status records comes before that.
 */
import { hash } from "node:crypto";
import { type IpAddress, ipFromBytes, parseIp } from "#common/model/ip.ts";

/**
 * Both blocks hold the same number. Source: istiod's PILOT_IP_AUTOALLOCATE_IPV4_PREFIX and
 * ..._IPV6_PREFIX defaults, 240.240.0.0/16 and 2001:2::/48.
 */
const IPV4_BLOCK = [240, 240] as const;
const IPV6_BLOCK = [0x20, 0x01, 0x00, 0x02, 0x00, 0x00] as const;

/** The numbers that are handed out: from 1, so that no address is the block's own. */
const FIRST = 1;
const LAST = 65_534;

export class AutomaticAddresses {
  readonly #byHolder = new Map<string, readonly IpAddress[]>();
  readonly #holders = new Map<IpAddress, string>();
  readonly #last: number;

  /** `last` is the highest number that is handed out. */
  constructor(last = LAST) {
    this.#last = last;
  }

  /** What the holder has now. A holder is any name that stays the same. */
  of(holder: string): readonly IpAddress[] | undefined {
    return this.#byHolder.get(holder);
  }

  /** Takes the addresses that are recorded for the holder; false where somebody else has one. */
  restore(holder: string, ips: readonly IpAddress[]): boolean {
    for (const ip of ips) if ((this.#holders.get(ip) ?? holder) !== holder) return false;
    this.release(holder);
    this.#take(holder, ips);
    return true;
  }

  /**
   * Gives the holder an IPv4 and an IPv6 address that nobody has; `isFree` knows of addresses that
   * were not handed out here. Undefined when all are taken.
   */
  allocate(holder: string, isFree: (ip: IpAddress) => boolean): readonly IpAddress[] | undefined {
    this.release(holder);
    const count = this.#last - FIRST + 1;
    if (this.#byHolder.size >= count) return undefined;
    const start = firstChoice(holder) % count;
    for (let tries = 0; tries < count; tries++) {
      const number = FIRST + ((start + tries) % count);
      const ips = addressesAt(number);
      if (ips.some((ip) => this.#holders.has(ip) || !isFree(ip))) continue;
      this.#take(holder, ips);
      return ips;
    }
    return undefined;
  }

  release(holder: string): void {
    for (const ip of this.#byHolder.get(holder) ?? []) this.#holders.delete(ip);
    this.#byHolder.delete(holder);
  }

  #take(holder: string, ips: readonly IpAddress[]): void {
    this.#byHolder.set(holder, ips);
    for (const ip of ips) this.#holders.set(ip, holder);
  }
}

/** The address of a text, if it is one that could have been handed out. */
export function parseAutomaticAddress(text: string): IpAddress | undefined {
  const ip = parseIp(text);
  if (ip === undefined) return undefined;
  const isOurs = ip.includes(":") ? /^2001:2:(0:|:)/.test(ip) : ip.startsWith("240.240.");
  return isOurs ? ip : undefined;
}

function firstChoice(holder: string): number {
  return Number.parseInt(hash("sha256", holder, "hex").slice(0, 8), 16);
}

function addressesAt(number: number): readonly IpAddress[] {
  const tail = [number >> 8, number & 0xff];
  const v4 = ipFromBytes(Uint8Array.from([...IPV4_BLOCK, ...tail]));
  const v6 = ipFromBytes(Uint8Array.from([...IPV6_BLOCK, ...new Array(8).fill(0), ...tail]));
  return [v4, v6].flatMap((ip) => ip ?? []);
}
