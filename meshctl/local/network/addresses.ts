/** The address plan of a namespace cluster, and the allocators of pod and service addresses. */
import {
  type Cidr,
  cidrContains,
  type IpAddress,
  ipFromBytes,
  ipToBytes,
  parseCidr,
} from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";

/**
 * The fabric joins the nodes, as kind's Docker network does; the cluster's own processes are at .1.
 */
export const FABRIC_IPV4 = cidr("172.18.0.0/16");
export const FABRIC_IPV6 = cidr("fd00:172:18::/64");
/** Service addresses, as kubeadm's default; DNS has the tenth, by Kubernetes' convention. */
export const SERVICE_IPV4 = cidr("10.96.0.0/16");
export const SERVICE_IPV6 = cidr("fd00:10:96::/112");
export const DNS_SERVICE_INDEX = 10;

/** The prefix length that pods of one node share where the node names no pod CIDR of its own. */
const POD_IPV4_PREFIX = [10, 244] as const;

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new MeshError("BAD_CIDR", `${text} is not a CIDR block`);
  return parsed;
}

/** The address with number `index` in a block: 0 is the network itself. */
export function addressAt(block: Cidr, index: number): IpAddress {
  const bytes = Uint8Array.from(block.bytes);
  clearHostBits(bytes, block.length);
  let carry = index;
  for (let i = bytes.length - 1; i >= 0 && carry > 0; i--) {
    const sum = (bytes[i] ?? 0) + (carry & 0xff);
    bytes[i] = sum & 0xff;
    carry = (carry >>> 8) + (sum >> 8);
  }
  const ip = ipFromBytes(bytes);
  if (ip === undefined) throw new MeshError("BAD_CIDR", "an address has 4 or 16 bytes");
  return ip;
}

/** Where an address stands in its block; undefined if it is not in it. */
export function indexIn(block: Cidr, ip: IpAddress): number | undefined {
  const bytes = ipToBytes(ip);
  if (!cidrContains(block, bytes)) return undefined;
  const network = ipToBytes(addressAt(block, 0));
  let index = 0;
  for (let i = Math.max(0, bytes.length - 4); i < bytes.length; i++) {
    index = index * 256 + ((bytes[i] ?? 0) - (network[i] ?? 0));
  }
  return index;
}

function clearHostBits(bytes: Uint8Array, length: number): void {
  for (let i = 0; i < bytes.length; i++) {
    const bits = Math.min(8, Math.max(0, length - i * 8));
    bytes[i] = (bytes[i] ?? 0) & (0xff << (8 - bits));
  }
}

/**
 * The pod blocks of the node with this number (from 1), as kubeadm's and kind's controllers cut
 * them.
 */
export function defaultPodCidrs(nodeNumber: number): readonly [Cidr, Cidr] {
  const v4 = `${POD_IPV4_PREFIX.join(".")}.${nodeNumber}.0/24`;
  return [cidr(v4), cidr(`fd00:10:244:${nodeNumber.toString(16)}::/64`)];
}

/**
 * Hands out addresses that have the same number in each of several blocks (one per family), in
 * turn, so that a freed address is not given to somebody else at once.
 */
export class AddressPool {
  readonly cidrs: readonly Cidr[];
  readonly #first: number;
  readonly #last: number;
  readonly #used = new Set<number>();
  #next: number;

  /** Numbers below `first` are never handed out by turn, but can be asked for by address. */
  constructor(cidrs: readonly Cidr[], first: number) {
    this.cidrs = cidrs;
    this.#first = first;
    this.#next = first;
    const hostBits = Math.min(...cidrs.map((c) => c.bytes.length * 8 - c.length), 16);
    this.#last = 2 ** hostBits - 2;
  }

  /** The next free addresses, one per block; undefined when all are taken. */
  allocate(): readonly IpAddress[] | undefined {
    for (let tries = this.#first; tries <= this.#last; tries++) {
      const index = this.#next;
      this.#next = index >= this.#last ? this.#first : index + 1;
      if (!this.#used.has(index)) return this.#take(index);
    }
    return undefined;
  }

  /** The addresses that include this one; undefined when it is taken or not in these blocks. */
  claim(ip: IpAddress): readonly IpAddress[] | undefined {
    const index = this.#indexOf(ip);
    if (index === undefined || this.#used.has(index)) return undefined;
    return this.#take(index);
  }

  release(ips: readonly IpAddress[]): void {
    for (const ip of ips) {
      const index = this.#indexOf(ip);
      if (index !== undefined) this.#used.delete(index);
    }
  }

  #take(index: number): readonly IpAddress[] {
    this.#used.add(index);
    return this.cidrs.map((block) => addressAt(block, index));
  }

  #indexOf(ip: IpAddress): number | undefined {
    for (const block of this.cidrs) {
      const index = indexIn(block, ip);
      if (index !== undefined) return index;
    }
    return undefined;
  }
}
