/** The loads, run in the client pod of a case: h2load at a fixed rate, h2load or wrk flat out. */
import { MeshError } from "#common/runtime/errors.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { percentile } from "../l4/statistics.ts";
import { type Protocol, RATE_PER_SECOND } from "./cases.ts";
import { parseWrk } from "./engine/wrk.ts";
import { MESSAGE_FILE, PORTS, type Target } from "./topology.ts";

const RATE_CONNECTIONS = 10;
const MAX_CONNECTIONS_HTTP1 = 64;
const MAX_CONNECTIONS_HTTP2 = 16;
const STREAMS_PER_CONNECTION = 8;
const PACE = ["--rps", String(RATE_PER_SECOND / RATE_CONNECTIONS)];
/** Connections begin a millisecond apart, and each sends at its own pace from then on. */
const EVENLY = ["-r", "1", "--rate-period", "1ms"];
/** In the client pod's own files. */
const LOG_FILE = "/tmp/requests.log";
/** Beyond the time that a load takes by itself. */
const PATIENCE_MS = 15_000;

/**
 * How long, in seconds, and how requests come at a fixed rate: all connections' together, as h2load
 * and fortio do it by themselves, or spread evenly.
 */
export interface LoadPlan {
  readonly seconds: number;
  readonly arrivals: "together" | "evenly";
}

export interface RateResult {
  readonly requests: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface MaxResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
}

export const GRPC_HEADERS = ["content-type: application/grpc", "te: trailers"];

/** Throws LOAD_FAILED where a request fails or is answered with anything but 2xx. */
export async function runAtRate(
  cluster: TestCluster,
  target: Target,
  protocol: Protocol,
  { seconds, arrivals }: LoadPlan,
): Promise<RateResult> {
  const argv = [
    ...["sh", "-c", `rm -f ${LOG_FILE}; "$@" && cat ${LOG_FILE}`, "sh"],
    ...h2load(protocol, target, RATE_CONNECTIONS),
    ...["-n", String(RATE_PER_SECOND * seconds), ...PACE, "--log-file", LOG_FILE],
    ...(arrivals === "evenly" ? EVENLY : []),
    urlOf(target, protocol),
  ];
  const output = await run(cluster, target, argv, seconds);
  return { requests: parseRequests(output), ...parseLatencies(output) };
}

/** As many requests as possible. Throws as `runAtRate` does. */
export async function runFlatOut(
  cluster: TestCluster,
  target: Target,
  protocol: Protocol,
  seconds: number,
): Promise<MaxResult> {
  if (protocol === "http1") return runWrk(cluster, target, seconds);
  const streams = ["-m", String(STREAMS_PER_CONNECTION)];
  const flatOut = ["-D", String(seconds), ...streams];
  const argv = [...h2load(protocol, target, MAX_CONNECTIONS_HTTP2), ...flatOut];
  const output = await run(cluster, target, [...argv, urlOf(target, protocol)], seconds);
  const requests = parseRequests(output);
  return { requests, requestsPerSecond: requests / seconds };
}

async function runWrk(cluster: TestCluster, target: Target, seconds: number): Promise<MaxResult> {
  const headers = target.headers.flatMap((header) => ["-H", header]);
  const argv = ["wrk", "-t1", `-c${MAX_CONNECTIONS_HTTP1}`, `-d${seconds}s`, "--latency"];
  const output = await run(cluster, target, [...argv, ...headers, urlOf(target, "http1")], seconds);
  const { requestsPerSecond, failures } = parseWrk(output);
  if (failures > 0) throw failed(`${failures} requests of wrk`);
  return { requests: requestsPerSecond * seconds, requestsPerSecond };
}

function h2load(protocol: Protocol, target: Target, connections: number): readonly string[] {
  const headers = [...target.headers, ...(protocol === "grpc" ? GRPC_HEADERS : [])];
  return [
    ...["h2load", "-t1", "-c", String(connections)],
    ...(protocol === "http1" ? ["--h1"] : []),
    ...(protocol === "grpc" ? ["-d", MESSAGE_FILE] : []),
    ...headers.flatMap((header) => ["-H", header]),
  ];
}

export function urlOf({ host, path }: Target, protocol: Protocol): string {
  return `http://${host}:${PORTS[protocol]}${path}`;
}

async function run(
  cluster: TestCluster,
  { client }: Target,
  argv: readonly string[],
  seconds: number,
): Promise<string> {
  const timeoutMs = seconds * 1_000 + PATIENCE_MS;
  const { code, stdout, stderr } = await cluster.exec(client, argv, { timeoutMs });
  if (code !== 0) throw failed(`${argv[0]} ended with ${code}: ${stderr.trim().slice(0, 500)}`);
  return stdout;
}

/** How many requests h2load says were answered well; throws if there were others. */
export function parseRequests(output: string): number {
  const [, succeeded = "0"] = /(\d+) succeeded/.exec(output) ?? [];
  const [line = "", bad2 = "", errored = ""] =
    /requests: .* (\d+) failed, (\d+) errored.*/.exec(output) ?? [];
  const [, good = ""] = /status codes: (\d+) 2xx/.exec(output) ?? [];
  if (line === "" || Number(succeeded) === 0) throw failed(`h2load: ${output.slice(-500)}`);
  if (Number(bad2) + Number(errored) > 0 || Number(good) < Number(succeeded)) {
    throw failed(`h2load: ${line}; ${good} with a status of 2xx`);
  }
  return Number(succeeded);
}

/** Of the log's rows: when it began, the status, microseconds until the end of the response. */
export function parseLatencies(output: string): Pick<RateResult, "p50Ms" | "p99Ms"> {
  const rows = [...output.matchAll(/^\d{10,}\t\d+\t(\d+)$/gm)];
  const sorted = Float64Array.from(rows, ([, us]) => Number(us) / 1_000).sort();
  return { p50Ms: percentile(sorted, 50), p99Ms: percentile(sorted, 99) };
}

function failed(why: string): MeshError {
  return new MeshError("LOAD_FAILED", why, { hint: "see the access logs of the waypoint" });
}
