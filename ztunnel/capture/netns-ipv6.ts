/** Whether a network namespace has IPv6: some kernels have none, some pods have it switched off. */
import fs from "node:fs";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";

const CONFIGURATION = "/proc/sys/net/ipv6/conf";
/** Entries that stand for no interface. */
const NO_INTERFACE = new Set(["all", "default"]);

/**
 * False where the kernel has no IPv6, or where every interface of the namespace has it disabled.
 */
export function hasIpv6(sys: Syscalls, netns: Netns): boolean {
  return sys.inNetns(netns, () => {
    if (!fs.existsSync(CONFIGURATION)) return false;
    return fs
      .readdirSync(CONFIGURATION)
      .some((name) => !NO_INTERFACE.has(name) && isEnabled(`${CONFIGURATION}/${name}`));
  });
}

function isEnabled(directory: string): boolean {
  try {
    return fs.readFileSync(`${directory}/disable_ipv6`, "utf8").trim() === "0";
  } catch {
    // The interface has just gone.
    return false;
  }
}
