/** Load by wrk (Debian's), and what it reports. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Responses other than 2xx, and socket errors. */
  readonly failures: number;
}

export async function wrk(
  port: number,
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
): Promise<LoadResult> {
  const sizes = [`-c${connections}`, `-d${seconds}s`];
  const { stdout } = await run("wrk", ["-t1", ...sizes, "--latency", `http://127.0.0.1:${port}/`]);
  return parseWrk(stdout);
}

export function parseWrk(text: string): LoadResult {
  const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  const socketErrors = [...text.matchAll(/(?:connect|read|write|timeout) (\d+)/g)];
  const failed = socketErrors.reduce((sum, [, count]) => sum + Number(count), 0);
  const refused = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? "0";
  return {
    requestsPerSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50Ms: latency(text, "50"),
    p99Ms: latency(text, "99"),
    failures: failed + Number(refused),
  };
}

function latency(text: string, percent: string): number {
  const [, value = "", unit = ""] =
    new RegExp(`\\b${percent}%\\s+([\\d.]+)(us|ms|s)`).exec(text) ?? [];
  return Number(value) * (unit === "us" ? 0.001 : unit === "s" ? 1_000 : 1);
}
