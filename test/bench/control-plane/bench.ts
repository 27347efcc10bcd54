/** The measurements, one after the other on one istiod-lite. */
import { setTimeout as sleep } from "node:timers/promises";
import { MeshError } from "#common/runtime/errors.ts";
import { rssMb } from "../l4/process-usage.ts";
import { percentile } from "../l4/statistics.ts";
import { type HerdResult, runHerd } from "./herd.ts";
import { IstiodProcess } from "./istiod-process.ts";
import { MeasuredClient } from "./measured-client.ts";
import { MEASURED_NODE, makePod, meshObjects } from "./mesh-objects.ts";
import type { ControlPlaneOptions } from "./options.ts";
import { measureZtunnel, type ZtunnelResult } from "./ztunnel-process.ts";

export interface ControlPlaneResult {
  /** From the start of the process until it serves: reading and deriving everything. */
  readonly startSeconds: number;
  readonly fullSync: {
    readonly seconds: number;
    readonly bytes: number;
    readonly resources: number;
  };
  /** From the file of a changed pod to the client that has applied it. */
  readonly podChange: {
    readonly changes: number;
    readonly bytesEach: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
  };
  readonly noOpEdits: { readonly edits: number; readonly resourcesPushed: number };
  readonly reconnect: {
    readonly seconds: number;
    readonly bytes: number;
    readonly resourcesResent: number;
  };
  readonly herd: HerdResult;
  readonly istiodRssMb: { readonly started: number; readonly afterwards: number };
  readonly ztunnel: ZtunnelResult | undefined;
}

export type Say = (line: string) => void;

/** An edit that changes nothing for proxies has had time to be pushed by then, were it a change. */
const NO_OP_WAIT_MS = 1_000;
const NO_OP_EDITS = 20;
const SENT = "ambient_xds_resources_sent_total";

export async function runBench(
  options: ControlPlaneOptions,
  say: Say,
): Promise<ControlPlaneResult> {
  say(`${options.pods} pods, ${options.services} services, ${options.policies} policies`);
  await using istiod = await IstiodProcess.start(meshObjects(options));
  const { startSeconds } = istiod;
  const started = rssMb(istiod.procDir);
  const client = new MeasuredClient(istiod, await istiod.tokenFile(MEASURED_NODE));
  say("full sync");
  const fullSync = await measureFullSync(client);
  say("changes of one pod");
  const podChange = await measureChanges(istiod, client, options);
  const noOpEdits = await measureNoOps(istiod, client, options);
  say("reconnect");
  const reconnect = await measureReconnect(client);
  const ztunnel = options.ztunnel ? await measureZtunnel(istiod, say) : undefined;
  say(`a herd of ${options.herd}`);
  const herd = await runHerd(istiod, options.herd);
  await client.disconnect();
  const istiodRssMb = { started, afterwards: rssMb(istiod.procDir) };
  return { startSeconds, fullSync, podChange, noOpEdits, reconnect, herd, istiodRssMb, ztunnel };
}

async function measureFullSync(client: MeasuredClient): Promise<ControlPlaneResult["fullSync"]> {
  const startedAt = performance.now();
  await client.connect();
  const seconds = (performance.now() - startedAt) / 1000;
  return { seconds, bytes: client.bytes, resources: client.size };
}

async function measureChanges(
  istiod: IstiodProcess,
  client: MeasuredClient,
  options: ControlPlaneOptions,
): Promise<ControlPlaneResult["podChange"]> {
  client.reset();
  const times = new Float64Array(options.changes);
  for (let change = 0; change < options.changes; change++) {
    const pod = makePod(change % options.pods, options, { revision: `v${change + 2}` });
    const name = `Kubernetes//Pod/${pod.metadata.namespace}/${pod.metadata.name}`;
    const startedAt = performance.now();
    await istiod.put(pod);
    await client.until(() => client.upserts.length > change);
    times[change] = performance.now() - startedAt;
    if (client.upserts[change] !== name) {
      const message = `a change of ${name} pushed ${client.upserts[change]}`;
      throw new MeshError("BENCH_FAILED", message);
    }
  }
  times.sort();
  return {
    changes: options.changes,
    bytesEach: client.bytes / options.changes,
    p50Ms: percentile(times, 50),
    p99Ms: percentile(times, 99),
  };
}

async function measureNoOps(
  istiod: IstiodProcess,
  client: MeasuredClient,
  options: ControlPlaneOptions,
): Promise<ControlPlaneResult["noOpEdits"]> {
  client.reset();
  const before = await istiod.metric(SENT);
  for (let edit = 0; edit < NO_OP_EDITS; edit++) {
    // Pods that no change of before has touched.
    const index = (options.changes + edit) % options.pods;
    const revision = index < options.changes ? `v${index + 2}` : "v1";
    await istiod.put(makePod(index, options, { revision, note: `edit ${edit}` }));
  }
  await sleep(NO_OP_WAIT_MS);
  const pushed = (await istiod.metric(SENT)) - before;
  return { edits: NO_OP_EDITS, resourcesPushed: pushed + client.upserts.length };
}

async function measureReconnect(client: MeasuredClient): Promise<ControlPlaneResult["reconnect"]> {
  await client.disconnect();
  client.reset();
  const startedAt = performance.now();
  await client.connect();
  const seconds = (performance.now() - startedAt) / 1000;
  const resourcesResent = client.upserts.length + client.removals;
  return { seconds, bytes: client.bytes, resourcesResent };
}
