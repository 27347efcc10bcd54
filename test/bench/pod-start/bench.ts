/** Starts pods one after the other on a real node, with and without the mesh. */
import { startKubernetes } from "#test/kubernetes/harness/cluster.ts";
import { installMesh } from "#test/kubernetes/mesh/install.ts";
import { meshImage } from "#test/kubernetes/mesh/mesh-image.ts";
import { median, percentile } from "../l4/statistics.ts";
import { PluginClock } from "./plugin-clock.ts";
import { PodStarter } from "./pod-starter.ts";

export interface Figures {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly maxMs: number;
}

export interface PodStartResult {
  /** From the request for a pod until its container's first instruction. */
  readonly withoutMesh: Figures;
  /** Beside the mesh: the plugin asks whether they are enrolled. */
  readonly unlabelled: Figures;
  readonly labelled: Figures;
  /** The median of labelled minus unlabelled, pair by pair. */
  readonly enrolmentP50Ms: number;
  /** Labelled against the node without the mesh. */
  readonly meshP50Ms: number;
  /** The plugin's own process, capture included. */
  readonly plugin: { readonly unlabelled: Figures; readonly labelled: Figures };
}

const PLAIN = "plain";
const ENROLLED = "enrolled";
/** Starts that are not counted: images and caches of the node warm up. */
const WARM_UP = 3;

type Times = readonly number[];

export async function runBench(
  pairs: number,
  say: (line: string) => void,
): Promise<PodStartResult> {
  say("a node");
  await using cluster = await startKubernetes({ nodes: 1, images: [await meshImage()] });
  await cluster.apply(namespace(PLAIN, {}));
  await cluster.apply(namespace(ENROLLED, { "istio.io/dataplane-mode": "ambient" }));
  const starter = new PodStarter(cluster.client);
  await startEach(starter, [PLAIN], WARM_UP);
  say(`${pairs} pods on the node as it is`);
  const [withoutMesh = []] = await startEach(starter, [PLAIN], pairs);
  say("the mesh");
  await installMesh(cluster);
  const clock = new PluginClock(cluster.node(1));
  await clock.install();
  await startEach(starter, [PLAIN, ENROLLED], WARM_UP);
  await clock.forget();
  say(`${pairs} pairs of pods`);
  const [unlabelled = [], labelled = []] = await startEach(starter, [PLAIN, ENROLLED], pairs);
  const calls = await clock.read();
  const plugin = {
    unlabelled: figures(calls.get(PLAIN) ?? []),
    labelled: figures(calls.get(ENROLLED) ?? []),
  };
  return { ...compare({ withoutMesh, unlabelled, labelled }), plugin };
}

/** One pod after the other, in turns; which namespace comes first changes each time. */
async function startEach(
  starter: PodStarter,
  namespaces: readonly string[],
  rounds: number,
): Promise<readonly Times[]> {
  const times = namespaces.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    const turns = [...namespaces.entries()];
    for (const [index, name] of round % 2 === 0 ? turns : turns.reverse()) {
      times[index]?.push(await starter.start(name));
    }
  }
  return times;
}

function compare(times: {
  readonly withoutMesh: Times;
  readonly unlabelled: Times;
  readonly labelled: Times;
}): Omit<PodStartResult, "plugin"> {
  const { withoutMesh, unlabelled, labelled } = times;
  const delays = labelled.map((each, index) => each - (unlabelled[index] ?? Number.NaN));
  return {
    withoutMesh: figures(withoutMesh),
    unlabelled: figures(unlabelled),
    labelled: figures(labelled),
    enrolmentP50Ms: median(delays),
    meshP50Ms: median(labelled) - median(withoutMesh),
  };
}

function namespace(name: string, labels: object): object {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
}

function figures(values: readonly number[]): Figures {
  const sorted = Float64Array.from(values).sort();
  const maxMs = sorted.at(-1) ?? Number.NaN;
  return { p50Ms: percentile(sorted, 50), p95Ms: percentile(sorted, 95), maxMs };
}
