/** With what the numbers were measured. */
import { execFileSync } from "node:child_process";
import { VERSION } from "#common/runtime/version.ts";
import type { BenchOptions } from "./options.ts";

export function describeVersions(options: BenchOptions): Record<string, string> {
  const versions = {
    ambientMesh: VERSION,
    node: process.versions.node,
    openssl: process.versions.openssl,
    iperf3: firstLine("iperf3", ["--version"]),
  };
  if (options.peer === undefined) return versions;
  return { ...versions, ztunnel: firstLine(options.peer, ["version"]) };
}

function firstLine(command: string, args: readonly string[]): string {
  try {
    const stdio = ["ignore", "pipe", "ignore"] as const;
    const output = execFileSync(command, args, { encoding: "utf8", stdio: [...stdio] });
    return output.split("\n", 1)[0] ?? "";
  } catch {
    return "unknown"; // A version that is not said stops no measurement.
  }
}
