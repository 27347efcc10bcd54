/**
 * Takes the mesh's rules out of every network namespace of a node, whoever put them there and
 * whether or not that still runs.
 */
import fs from "node:fs";
import path from "node:path";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { HostProbes } from "#ztunnel/capture/host-probes.ts";
import { removeRules } from "#ztunnel/capture/pod-rules.ts";
import { POD_TABLES } from "#ztunnel/capture/rules.ts";
import type { Netlink } from "#ztunnel/sys/netlink.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";

export interface SweepDeps {
  readonly sys: Syscalls;
  readonly netlink: Netlink;
  readonly node: Netns;
  readonly log: Logger;
  /** @default "/proc" */
  readonly procDir?: string;
  /** Where namespaces are kept by name, as seen from here. */
  readonly namesDir: string;
}

/** How many namespaces were rid of rules; those of which that failed are named in the log. */
export async function sweepNode(deps: SweepDeps): Promise<{ swept: number; failed: number }> {
  const { sys, node, log } = deps;
  const result = { swept: 0, failed: 0 };
  for (const netns of openAll(deps)) {
    try {
      if (netns.id === node.id || !hasRules(deps, netns)) continue;
      await removeRules(deps, netns);
      result.swept++;
    } catch (error) {
      result.failed++;
      const why = describeError(error);
      log.warn("a network namespace keeps the mesh's rules", { netns: netns.id, why });
    } finally {
      sys.closeNetns(netns);
    }
  }
  await new HostProbes(sys, node).remove();
  return result;
}

function hasRules({ sys, netlink }: SweepDeps, netns: Netns): boolean {
  return sys.inNetns(netns, () => POD_TABLES.some((name) => netlink.nftTable(name) !== undefined));
}

/** Each namespace once. */
function* openAll({ sys, procDir = "/proc", namesDir }: SweepDeps): Generator<Netns> {
  const seen = new Set<string>();
  const processes = fs.readdirSync(procDir).filter((name) => /^[1-9][0-9]*$/.test(name));
  const names = fs.existsSync(namesDir) ? fs.readdirSync(namesDir) : [];
  for (const file of [
    ...processes.map((id) => path.join(procDir, id, "ns/net")),
    ...names.map((name) => path.join(namesDir, name)),
  ]) {
    const netns = open(sys, file);
    if (netns === undefined) continue;
    if (seen.has(netns.id)) sys.closeNetns(netns);
    else yield netns;
    seen.add(netns.id);
  }
}

/** Undefined where it has just gone. */
function open(sys: Syscalls, file: string): Netns | undefined {
  try {
    return sys.openNetns(file);
  } catch {
    return undefined;
  }
}
