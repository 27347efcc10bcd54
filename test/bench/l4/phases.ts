/** The measurements: each runs one load against one route and says what came of it. */
import { setTimeout as sleep } from "node:timers/promises";
import { MeshError } from "#common/runtime/errors.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import type { LoadOptions, LoadResult } from "./load/load-messages.ts";
import { runLoad } from "./load-process.ts";
import type { Metric, Mode, Phase, Placement } from "./metrics.ts";
import { cpuSeconds, descriptorLimit, rssMb } from "./process-usage.ts";
import { ECHO_PORT, type Route } from "./topology.ts";

export interface PhaseContext {
  readonly cluster: TestCluster;
  readonly mode: Mode;
  readonly placement: Placement;
  readonly route: Route;
  readonly seconds: number;
  /** The proxies' directories in /proc; empty where there are none. */
  readonly procDirs: readonly string[];
}

export type Measured = Partial<Record<Metric, number>>;

const WARM_UP_MS = 500;
const REQUEST_BYTES = 1024;
const RR_CONNECTIONS = 16;
const RR_RATE = 1000;
const CRR_BYTES = 64;
const CRR_CONNECTIONS = 8;
/** Until what a start or thousands of new connections allocated has come to rest. */
const MEMORY_SETTLE_MS = 1500;
/** A proxy's descriptors beside those of its connections. */
const OWN_DESCRIPTORS = 200;

export function runPhase(phase: Phase, context: PhaseContext): Promise<Measured> {
  switch (phase) {
    case "bulk_1":
      return bulk(context, 1);
    case "bulk_8":
      return bulk(context, 8);
    case "rr1000":
      return fixedRate(context);
    case "rr_max":
      return requestsMax(context);
    case "crr":
      return connects(context);
    case "memory":
      throw new TypeError("memory is measured in steps of its own");
  }
}

// --- bulk
// ------------------------------------------------------------------------------------------

interface IperfReport {
  readonly error?: string;
  readonly end: {
    readonly sum_received: { readonly bytes: number; readonly bits_per_second: number };
  };
}

async function bulk(context: PhaseContext, streams: 1 | 8): Promise<Measured> {
  const used = startCpu(context);
  const { bytes, bits_per_second: bitsPerSecond } = await iperf(context, streams, context.seconds);
  const cpu = used();
  const gbps = bitsPerSecond / 1e9;
  const cpuPerGb = cpu / (bytes / 1e9);
  if (streams === 1) return { bulk_1_gbps: gbps, bulk_1_cpu_s_per_gb: cpuPerGb };
  return { bulk_8_gbps: gbps, bulk_8_cpu_s_per_gb: cpuPerGb };
}

/** A second of bulk through fresh proxies, so that their code and buffers are what they will be. */
export async function warmUp(context: PhaseContext): Promise<void> {
  await iperf(context, 2, 1);
}

async function iperf(context: PhaseContext, streams: number, seconds: number) {
  const { cluster, route } = context;
  const argv = ["iperf3", "-J", "-c", route.serverIp, "-t", `${seconds}`, "-P", `${streams}`];
  const timeoutMs = (seconds + 20) * 1000;
  const { stdout, stderr } = await cluster.inPodNetns(route.client, argv, { timeoutMs });
  const report: IperfReport = JSON.parse(stdout || "{}");
  if (report.error === undefined && report.end?.sum_received.bytes > 0) {
    return report.end.sum_received;
  }
  throw new MeshError("IPERF_FAILED", `iperf3: ${report.error ?? (stderr.trim() || "no bytes")}`);
}

// --- requests
// --------------------------------------------------------------------------------------

async function fixedRate(context: PhaseContext): Promise<Measured> {
  const { result, cpu } = await load(context, { ...REQUESTS, kind: "rate", rate: RR_RATE });
  const { latencyMs, requests } = result;
  if (latencyMs === undefined) throw new MeshError("LOAD_FAILED", "no latencies");
  return {
    rr1000_p50_ms: latencyMs.p50,
    rr1000_p90_ms: latencyMs.p90,
    rr1000_p99_ms: latencyMs.p99,
    rr1000_cpu_s_per_1000: cpu / (requests / 1000),
  };
}

async function requestsMax(context: PhaseContext): Promise<Measured> {
  const { result } = await load(context, { ...REQUESTS, kind: "max" });
  return { rr_max_per_s: perSecond(result) };
}

async function connects(context: PhaseContext): Promise<Measured> {
  const options = { kind: "connect", connections: CRR_CONNECTIONS, bytes: CRR_BYTES } as const;
  const { result } = await load(context, options);
  return { crr_per_s: perSecond(result) };
}

type LoadChoice = Pick<LoadOptions, "kind" | "connections" | "bytes"> & Partial<LoadOptions>;

const REQUESTS = { connections: RR_CONNECTIONS, bytes: REQUEST_BYTES };

async function load(context: PhaseContext, choice: LoadChoice) {
  const options: LoadOptions = {
    target: { ip: context.route.serverIp, port: ECHO_PORT },
    rate: 1,
    warmUpMs: WARM_UP_MS,
    measureMs: context.seconds * 1000,
    ...choice,
  };
  let used = () => 0;
  let cpu = 0;
  const result = await runLoad(context.cluster, context.route.client, options, {
    onMeasuring: () => {
      used = startCpu(context);
    },
    onDone: () => {
      cpu = used();
    },
  });
  return { result, cpu };
}

function perSecond({ requests, elapsedMs }: LoadResult): number {
  return requests / (elapsedMs / 1000);
}

/** The returned function gives the CPU seconds that the proxies have used since. */
function startCpu({ procDirs }: PhaseContext): () => number {
  const now = () => procDirs.reduce((sum, procDir) => sum + cpuSeconds(procDir), 0);
  const before = now();
  return () => now() - before;
}

// --- memory
// ----------------------------------------------------------------------------------------

/** Of proxies that are fresh and have carried no more than a probe. */
export async function idleMemory(context: PhaseContext): Promise<number> {
  await sleep(MEMORY_SETTLE_MS);
  return largestRssMb(context);
}

/** With this many connections that have carried one byte each way, and carry no more. */
export async function heldMemory(context: PhaseContext, connections: number): Promise<number> {
  checkDescriptors(context, connections);
  let rss = Number.NaN;
  const options: LoadOptions = {
    kind: "hold",
    target: { ip: context.route.serverIp, port: ECHO_PORT },
    connections,
    bytes: 1,
    rate: 1,
    warmUpMs: 0,
    measureMs: 0,
  };
  await runLoad(context.cluster, context.route.client, options, {
    onMeasuring: async () => {
      await sleep(MEMORY_SETTLE_MS);
      rss = largestRssMb(context);
    },
  });
  return rss;
}

function largestRssMb({ procDirs }: PhaseContext): number {
  return Math.max(...procDirs.map(rssMb));
}

/** Two descriptors per connection and proxied side: one side on each node, or both on one. */
function checkDescriptors(context: PhaseContext, connections: number): void {
  const sides = context.placement === "same-node" ? 2 : 1;
  // With HBONE the two sides share one connection for a hundred streams.
  const each = context.mode === "hbone" ? sides : 2 * sides;
  const needed = connections * each + OWN_DESCRIPTORS;
  const limit = Math.min(...context.procDirs.map(descriptorLimit));
  if (needed <= limit) return;
  const text = `takes ${needed} descriptors in one proxy, and this machine allows it ${limit}`;
  throw new MeshError("TOO_FEW_DESCRIPTORS", text);
}
