/** Whether a block of a service's addresses holds an address that somebody asks for. */
import { cidrContains, ipToBytes, parseIp } from "#common/model/ip.ts";
import type { AddressBlock } from "./registry-update.ts";

/** `address` is a look-up alias, `<network>/<ip>`; anything else is in no block. */
export function holdsAddress(blocks: readonly AddressBlock[], address: string): boolean {
  if (blocks.length === 0) return false;
  const slash = address.lastIndexOf("/");
  const ip = parseIp(address.slice(slash + 1));
  if (slash < 0 || ip === undefined) return false;
  const network = address.slice(0, slash);
  const bytes = ipToBytes(ip);
  return blocks.some((block) => block.network === network && cidrContains(block.cidr, bytes));
}
