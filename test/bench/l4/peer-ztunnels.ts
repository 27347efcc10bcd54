/**
 * A stock ztunnel on each node, in the place of ours: in the same nodes, for the same pods, behind
 * the same rules. Its state comes from a file, its pods from our ZDS server, its certificates from
 * its own test CA.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MeshError } from "#common/runtime/errors.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { podRuleset, policyRoute } from "#ztunnel/capture/rules.ts";
import type { ZdsServedPod } from "#ztunnel/zds/zds-server.ts";
import type { Contender } from "./contender.ts";
import type { Mode } from "./metrics.ts";
import { type ServedPods, servePods } from "./served-pods.ts";
import { MESH_NAMESPACE, NODES, PODS } from "./topology.ts";

const CLUSTER_ID = "Kubernetes";
const START_TIMEOUT_MS = 15_000;
const LOG_TAIL_BYTES = 1500;

interface RunningPeer {
  readonly node: string;
  readonly child: ChildProcess;
  readonly zds: ServedPods;
  readonly netnsFds: readonly number[];
  readonly log: string;
}

export class PeerZtunnels implements Contender {
  readonly name = "peer";
  readonly #cluster: TestCluster;
  readonly #binary: string;
  #running: RunningPeer[] = [];
  #captured = false;

  constructor(cluster: TestCluster, binary: string) {
    this.#cluster = cluster;
    this.#binary = binary;
  }

  async start(mode: Mode): Promise<void> {
    await this.#capture();
    // In the cluster's own files, which go when it does.
    const dir = join(this.#cluster.client.paths.root, "peer");
    await mkdir(dir, { recursive: true });
    const state = join(dir, "state.yaml");
    await writeFile(state, await this.#stateFile(mode === "hbone" ? "HBONE" : "TCP"));
    this.#running = await Promise.all(NODES.map((node) => this.#startOn(node, dir, state)));
    await Promise.all(this.#running.map((peer) => untilServed(peer)));
  }

  procDirs(): Promise<readonly string[]> {
    return Promise.resolve(this.#running.map(procDir));
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = [];
    await Promise.all(running.map(stopPeer));
  }

  /** The rules that our own ztunnel would make; they stay, as ours would. */
  async #capture(): Promise<void> {
    if (this.#captured) return;
    for (const { name } of PODS) {
      const pod = `${MESH_NAMESPACE}/${name}`;
      await this.#inPod(pod, ["nft", "-f", "-"], podRuleset(POD_RULES));
      for (const [family, option] of FAMILIES) {
        const { mark, markMask, priority, table } = policyRoute(family);
        const rules = await this.#inPod(pod, ["ip", option, "rule", "show"]);
        if (rules.includes(`\n${priority}:`)) continue;
        const route = `route replace local default dev lo table ${table}\n`;
        const rule = `rule add fwmark ${mark}/${markMask} pref ${priority} lookup ${table}\n`;
        await this.#inPod(pod, ["ip", option, "-batch", "-"], route + rule);
      }
    }
    this.#captured = true;
  }

  async #inPod(pod: string, argv: readonly string[], stdin = ""): Promise<string> {
    const { code, stdout, stderr } = await this.#cluster.inPodNetns(pod, argv, { stdin });
    if (code === 0) return stdout;
    throw new MeshError("CAPTURE_FAILED", `${argv.join(" ")} in ${pod}: ${stderr.trim()}`);
  }

  /** JSON is YAML; the keys are those of ztunnel's LOCAL_XDS_PATH file. */
  async #stateFile(protocol: "HBONE" | "TCP"): Promise<string> {
    const workloads = await Promise.all(
      PODS.map(async ({ name, node }) => ({
        uid: `${CLUSTER_ID}//Pod/${MESH_NAMESPACE}/${name}`,
        name,
        namespace: MESH_NAMESPACE,
        serviceAccount: name,
        workloadIps: [await this.#cluster.podIp(`${MESH_NAMESPACE}/${name}`)],
        protocol,
        node,
        network: "",
        services: {},
      })),
    );
    return JSON.stringify({ workloads, policies: [], services: [] }, undefined, 2);
  }

  async #startOn(node: string, dir: string, state: string): Promise<RunningPeer> {
    const pods = await this.#zdsPods(node);
    const socket = join(dir, `${node}.sock`);
    const zds = servePods(socket, pods);
    const log = join(dir, `${node}.log`);
    const logFd = openSync(log, "w");
    const netns = await this.#cluster.nodeNetns(node);
    // No process namespace of the cluster, whose numbers would not fit the /proc that ztunnel
    // reads; so the kernel has to end it with us.
    const inNode = ["--pdeathsig", "KILL", "nsenter", `--net=${netns}`, "--", this.#binary];
    const child = spawn("setpriv", inNode, {
      env: peerEnv(node, socket, state),
      stdio: ["ignore", logFd, logFd],
    });
    closeSync(logFd);
    await once(child, "spawn");
    return { node, child, zds, netnsFds: pods.map(({ netnsFd }) => netnsFd), log };
  }

  #zdsPods(node: string): Promise<ZdsServedPod[]> {
    const here = PODS.filter((pod) => pod.node === node);
    return Promise.all(
      here.map(async ({ name }) => ({
        uid: `uid-${name}`,
        info: { name, namespace: MESH_NAMESPACE, serviceAccount: name },
        netnsFd: openSync(await this.#cluster.podNetns(`${MESH_NAMESPACE}/${name}`), "r"),
      })),
    );
  }
}

const POD_RULES = { ipv6: true, bypassInboundCapture: false };
const FAMILIES = [
  ["ipv4", "-4"],
  ["ipv6", "-6"],
] as const;

/** Everything else has ztunnel's own defaults. */
function peerEnv(node: string, socket: string, state: string): Record<string, string> {
  return {
    PATH: process.env.PATH ?? "",
    RUST_LOG: "info",
    PROXY_MODE: "shared",
    INPOD_UDS: socket,
    FAKE_CA: "true",
    XDS_ADDRESS: "",
    LOCAL_XDS_PATH: state,
    NODE_NAME: node,
    CLUSTER_ID,
  };
}

async function untilServed(peer: RunningPeer): Promise<void> {
  const { node, zds, child } = peer;
  const late = sleep(START_TIMEOUT_MS, "late", { ref: false });
  const outcome = await Promise.race([zds.served, late, once(child, "exit").then(() => "ended")]);
  if (outcome === undefined) return;
  const tail = readFileSync(peer.log, "utf8").slice(-LOG_TAIL_BYTES);
  const how = outcome === "late" ? "did not ask for its pods in time" : "ended at its start";
  throw new MeshError("PEER_FAILED", `the stock ztunnel of ${node} ${how}:\n${tail}`);
}

async function stopPeer({ child, zds, netnsFds }: RunningPeer): Promise<void> {
  zds.close();
  for (const fd of netnsFds) closeSync(fd);
  if (hasEnded(child)) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

function procDir({ child, node }: RunningPeer): string {
  if (!hasEnded(child)) return `/proc/${child.pid}`;
  throw new MeshError("PEER_GONE", `the stock ztunnel of ${node} has ended`);
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
