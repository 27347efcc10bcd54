/**
 * Connections between a listener that closes and one that is there beside it. Two ztunnels listen
 * on one port while one replaces the other; what the old one has not accepted when it closes would
 * be reset.
 */
import fs from "node:fs";
import type { Logger } from "#common/telemetry/logger.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";

/** Linux 5.14 and later: Documentation/networking/ip-sysctl.rst. */
const MIGRATE = "/proc/sys/net/ipv4/tcp_migrate_req";
/** In a container /proc/sys is read-only, and that of the node's first process is not. */
const FILES = [MIGRATE, `/proc/1/root${MIGRATE}`];

/** From now on the namespace's waiting connections move on to another listener of the same port. */
export function migrateWaitingConnections(sys: Syscalls, netns: Netns, log: Logger): void {
  const why = write(sys, netns, "1");
  // An older kernel, or no right to it: a replacement may then reset a connection.
  if (why !== "") log.debug("connections cannot move between listeners", { file: MIGRATE, why });
}

/** The opposite, which is what every namespace begins with. */
export function leaveWaitingConnections(sys: Syscalls, netns: Netns): void {
  write(sys, netns, "0");
}

/** Returns why it cannot be written; "" where it was. */
function write(sys: Syscalls, netns: Netns, value: "0" | "1"): string {
  let why = "";
  for (const file of FILES) {
    try {
      sys.inNetns(netns, () => fs.writeFileSync(file, value));
      return "";
    } catch (error) {
      why = String(error);
    }
  }
  return why;
}
