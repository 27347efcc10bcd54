/** Changes pods at a steady rate, and times each until a ztunnel has applied it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { objectPath } from "#common/kube-client/resources.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { MeasuredClient } from "../control-plane/measured-client.ts";
import { makePod } from "../control-plane/mesh-objects.ts";
import { percentile } from "../l4/statistics.ts";
import { STATUS_PATCH } from "./load-objects.ts";
import type { KubernetesBenchOptions } from "./options.ts";

export interface Percentiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface ChurnResult {
  readonly changes: number;
  /** Of the same pods at the same rate, that proxies are not told of. */
  readonly heartbeats: number;
  /** Of what the server was asked for: behind schedule it is less than was wanted. */
  readonly changesPerSecond: number;
  /** From the request for the change until a ztunnel applied it: the API server's part included. */
  readonly fromRequest: Percentiles;
  /** From the API server's answer, when the change is known to be stored. */
  readonly fromAnswer: Percentiles;
  readonly bytesEach: number;
  readonly resourcesPushed: number;
}

/** A change that was not pushed by then never will be. */
const PUSH_TIMEOUT_MS = 30_000;

interface Change {
  readonly requestedAt: number;
  answeredAt?: number;
  appliedAt?: number;
}

/** Each pod changes at most once: its name tells which change has arrived. */
export async function measureChurn(
  api: KubeClient,
  ztunnel: MeasuredClient,
  options: KubernetesBenchOptions,
): Promise<ChurnResult> {
  const count = Math.min(options.rate * options.seconds, options.pods);
  const open = new Map<string, Change>();
  const changes: Change[] = [];
  ztunnel.reset();
  ztunnel.onApplied = (names) => {
    for (const name of names) {
      const change = open.get(name);
      if (change !== undefined) change.appliedAt ??= performance.now();
    }
  };
  const startedAt = performance.now();
  const requests: Promise<void>[] = [];
  for (let index = 0; index < count; index++) {
    const due = startedAt + (index * 1_000) / options.rate;
    await sleep(Math.max(0, due - performance.now()));
    const change: Change = { requestedAt: performance.now() };
    changes.push(change);
    requests.push(changePod(api, index, options, change, open));
  }
  await Promise.all(requests);
  const seconds = (performance.now() - startedAt) / 1_000;
  await untilApplied(changes);
  ztunnel.onApplied = undefined;
  return {
    changes: count,
    heartbeats: count,
    changesPerSecond: count / seconds,
    fromRequest: percentiles(changes.map((each) => late(each) - each.requestedAt)),
    fromAnswer: percentiles(changes.map((each) => late(each) - (each.answeredAt ?? 0))),
    bytesEach: ztunnel.bytes / count,
    resourcesPushed: ztunnel.upserts.length + ztunnel.removals,
  };
}

/** With it goes a change that only a kubelet cares about. */
async function changePod(
  api: KubeClient,
  index: number,
  options: KubernetesBenchOptions,
  change: Change,
  open: Map<string, Change>,
): Promise<void> {
  const { kind, metadata } = makePod(index, options);
  open.set(`Kubernetes//Pod/${metadata.namespace}/${metadata.name}`, change);
  const path = objectPath({ kind, ...metadata });
  const labels = { version: "v2" };
  const patch = { method: "PATCH", path, contentType: STATUS_PATCH } as const;
  await api.request({ ...patch, body: { metadata: { labels } } });
  change.answeredAt = performance.now();
  const startTime = new Date(Math.floor(Date.now() / 1_000) * 1_000).toISOString();
  await api.request({ ...patch, path: `${path}/status`, body: { status: { startTime } } });
}

async function untilApplied(changes: readonly Change[]): Promise<void> {
  const deadline = performance.now() + PUSH_TIMEOUT_MS;
  const left = () => changes.filter(({ appliedAt }) => appliedAt === undefined).length;
  while (left() > 0) {
    if (performance.now() > deadline) {
      throw new MeshError("BENCH_FAILED", `${left()} changes of pods were never pushed`);
    }
    await sleep(10);
  }
}

function late({ appliedAt = 0 }: Change): number {
  return appliedAt;
}

function percentiles(values: readonly number[]): Percentiles {
  const sorted = Float64Array.from(values).sort();
  const maxMs = sorted.at(-1) ?? 0;
  return { p50Ms: percentile(sorted, 50), p99Ms: percentile(sorted, 99), maxMs };
}
