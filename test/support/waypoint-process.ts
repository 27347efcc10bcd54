/** The process of a waypoint's pod, as the machine sees it. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import type { WaypointMesh } from "#test/support/waypoint-mesh.ts";

/** The id of the process of a waypoint that is ready. */
export async function waypointProcess(mesh: WaypointMesh): Promise<number> {
  const [name = ""] = await mesh.waypoints();
  return programIn(await mesh.cluster.podNetns(`shop/${name}`));
}

export function residentMb(pid: number): number {
  const [, kilobytes = ""] = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`)) ?? [];
  return Number(kilobytes) / 1024;
}

function read(file: string): string {
  return readFileSync(file, "utf8");
}

/** The waypoint's own process among those of its pod, which have its network namespace. */
function programIn(netns: string): number {
  const inode = statSync(netns).ino;
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    try {
      if (statSync(`/proc/${pid}/ns/net`).ino !== inode) continue;
      if (/waypoint\/main\.ts/.test(read(`/proc/${pid}/cmdline`))) return pid;
    } catch {
      // It has ended meanwhile.
    }
  }
  return assert.fail(`no waypoint runs in ${netns}`);
}
