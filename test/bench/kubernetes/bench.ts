/** The measurements, one after the other on one API server. */
import { setTimeout as sleep } from "node:timers/promises";
import { startKubernetes } from "#test/kubernetes/harness/cluster.ts";
import { waitFor } from "#test/kubernetes/harness/wait-for.ts";
import { permissiveDefinitions } from "#test/kubernetes/permissive-definitions.ts";
import { MeasuredClient } from "../control-plane/measured-client.ts";
import { MEASURED_NODE } from "../control-plane/mesh-objects.ts";
import { cpuSeconds, rssMb } from "../l4/process-usage.ts";
import { type ChurnResult, measureChurn } from "./churn.ts";
import { MeasuredIstiod } from "./control-plane.ts";
import { loadObjects } from "./load-objects.ts";
import type { KubernetesBenchOptions } from "./options.ts";

export interface KubernetesBenchResult {
  readonly loadSeconds: number;
  /** From the start of the process until it serves, the API server having everything. */
  readonly startSeconds: number;
  readonly fullSync: {
    readonly seconds: number;
    readonly bytes: number;
    readonly resources: number;
  };
  readonly churn: ChurnResult;
  readonly istiod: {
    readonly rssMbStarted: number;
    /** The highest that was seen. */
    readonly rssMbPeak: number;
    readonly rssMbAfterwards: number;
    readonly cpuSecondsStart: number;
    /** Of one core, while the mesh churns. */
    readonly cpuPercentChurn: number;
    readonly cpuPercentIdle: number;
  };
}

export type Say = (line: string) => void;

const IDLE_MS = 10_000;
const SAMPLE_MS = 100;

export async function runBench(
  options: KubernetesBenchOptions,
  say: Say,
): Promise<KubernetesBenchResult> {
  say("an API server");
  await using cluster = await startKubernetes();
  const { client, kubeconfig, controlPlane } = cluster;
  for (const definition of permissiveDefinitions()) await cluster.apply(definition);
  // Nobody runs these pods: its controllers would give them up.
  await Promise.all([controlPlane.controllerManager.stop(), controlPlane.scheduler.stop()]);
  say(`${options.pods} pods, ${options.services} services, ${options.policies} policies`);
  const loadedAt = performance.now();
  const established = () =>
    client.request({ method: "GET", path: "/apis/security.istio.io/v1/authorizationpolicies" });
  await waitFor("the definitions", established);
  await loadObjects(client, options);
  const loadSeconds = (performance.now() - loadedAt) / 1_000;
  say("istiod-lite");
  await using istiod = await MeasuredIstiod.start(client, kubeconfig);
  const { startSeconds, procDir } = istiod;
  const rssMbStarted = rssMb(procDir);
  const cpuSecondsStart = cpuSeconds(procDir);
  const peak = watchPeak(procDir);
  const ztunnel = new MeasuredClient(istiod, await istiod.tokenFile(MEASURED_NODE));
  const fullSync = await measureFullSync(ztunnel);
  const [, cpuPercentIdle] = await withCpu(procDir, () => sleep(IDLE_MS));
  say(`${options.rate} changes of pods per second, for ${options.seconds} s`);
  const [churn, cpuPercentChurn] = await withCpu(procDir, () =>
    measureChurn(client, ztunnel, options),
  );
  const rssMbAfterwards = rssMb(procDir);
  const rssMbPeak = peak.stop();
  await ztunnel.disconnect();
  const memory = { rssMbStarted, rssMbPeak, rssMbAfterwards };
  const cpu = { cpuSecondsStart, cpuPercentChurn, cpuPercentIdle };
  return { loadSeconds, startSeconds, fullSync, churn, istiod: { ...memory, ...cpu } };
}

async function measureFullSync(
  ztunnel: MeasuredClient,
): Promise<KubernetesBenchResult["fullSync"]> {
  const startedAt = performance.now();
  await ztunnel.connect();
  const seconds = (performance.now() - startedAt) / 1_000;
  return { seconds, bytes: ztunnel.bytes, resources: ztunnel.size };
}

/** What was done, and how much of one core the process took meanwhile. */
async function withCpu<Value>(
  procDir: string,
  work: () => Promise<Value>,
): Promise<readonly [Value, number]> {
  const before = cpuSeconds(procDir);
  const startedAt = performance.now();
  const value = await work();
  const seconds = (performance.now() - startedAt) / 1_000;
  return [value, ((cpuSeconds(procDir) - before) / seconds) * 100];
}

function watchPeak(procDir: string): { stop(): number } {
  let peak = rssMb(procDir);
  const look = (): void => {
    peak = Math.max(peak, rssMb(procDir));
  };
  const timer = setInterval(look, SAMPLE_MS);
  return {
    stop: () => {
      clearInterval(timer);
      look();
      return peak;
    },
  };
}
