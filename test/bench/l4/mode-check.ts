/** Proves how connections of a route really travel, by the ports that the pods' sockets have. */
import { setTimeout as sleep } from "node:timers/promises";
import { HBONE_PORT, INBOUND_PLAINTEXT_PORT, OUTBOUND_PORT } from "#common/model/ports.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { runLoad } from "./load-process.ts";
import type { Mode } from "./metrics.ts";
import { ECHO_PORT, type Route } from "./topology.ts";

const TIMEOUT_MS = 20_000;
const RETRY_MS = 100;

/**
 * Resolves when a fresh connection travels as the mode says; fresh proxies take a moment to know.
 */
export async function untilMode(cluster: TestCluster, route: Route, mode: Mode): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  let seen = "nothing";
  while (performance.now() < deadline) {
    seen = await modeOf(cluster, route).catch(describeError);
    if (seen === mode) return;
    await sleep(RETRY_MS);
  }
  const text = `connections from ${route.client} to ${route.server} are not ${mode}: ${seen}`;
  throw new MeshError("WRONG_MODE", text, { hint: "see the ztunnels' logs" });
}

async function modeOf(cluster: TestCluster, route: Route): Promise<Mode> {
  let mode: Mode = "direct";
  const options = {
    kind: "hold",
    target: { ip: route.serverIp, port: ECHO_PORT },
    connections: 1,
    bytes: 1,
    rate: 1,
    warmUpMs: 0,
    measureMs: 0,
  } as const;
  await runLoad(cluster, route.client, options, {
    onMeasuring: async () => {
      const [client, server] = await Promise.all([
        establishedPorts(cluster, route.client),
        establishedPorts(cluster, route.server),
      ]);
      mode = classify(client, server);
    },
  });
  return mode;
}

function classify(client: ReadonlySet<number>, server: ReadonlySet<number>): Mode {
  if (!client.has(OUTBOUND_PORT)) return "direct";
  if (server.has(INBOUND_PLAINTEXT_PORT)) return "plain";
  if (server.has(HBONE_PORT)) return "hbone";
  throw new MeshError("WRONG_MODE", "only the client's side is captured");
}

/** The local ports of a pod's established connections: a redirected one has the listener's. */
async function establishedPorts(cluster: TestCluster, pod: string): Promise<Set<number>> {
  const { stdout } = await cluster.inPodNetns(pod, ["ss", "-Htn", "state", "established"]);
  const ports = stdout.split("\n").map((line) => line.trim().split(/\s+/)[2]?.split(":").at(-1));
  return new Set(ports.map(Number));
}
