/** What processes have used, out of /proc. */
import { readFileSync } from "node:fs";
import { MeshError } from "#common/runtime/errors.ts";

/** USER_HZ, the unit of times in /proc/PID/stat: 100 on every architecture Node runs on. */
const TICKS_PER_SECOND = 100;
// Places in /proc/PID/stat after the name, which ends with the last parenthesis. See proc(5).
const UTIME = 11;
const STIME = 12;

/** CPU seconds, user and system, of a process and all of its threads since its start. */
export function cpuSeconds(procDir: string): number {
  const stat = readFileSync(`${procDir}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[UTIME]) + Number(fields[STIME])) / TICKS_PER_SECOND;
}

/** Resident memory in MB (2^20 bytes). */
export function rssMb(procDir: string): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`${procDir}/status`, "utf8"))?.[1];
  if (kilobytes === undefined) throw new MeshError("PROCESS_GONE", `${procDir} has no memory`);
  return Number(kilobytes) / 1024;
}

/** The number of descriptors that the process may have open. */
export function descriptorLimit(procDir: string): number {
  const limits = readFileSync(`${procDir}/limits`, "utf8");
  return Number(/^Max open files\s+\d+\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
}
