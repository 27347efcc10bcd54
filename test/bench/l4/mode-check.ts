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

function classify(client: Ports, server: Ports): Mode {
  if (!client.local.has(OUTBOUND_PORT)) return "direct";
  if (server.local.has(INBOUND_PLAINTEXT_PORT)) return "plain";
  if (server.local.has(HBONE_PORT)) return "hbone";
  // Delivered from inside the server's namespace, though nothing came in from outside: both pods
  // are of one ztunnel, which takes the tunnel's shortcut.
  if (server.remote.has(ECHO_PORT)) return "hbone";
  throw new MeshError("WRONG_MODE", "only the client's side is captured");
}

/** The ports of a pod's established connections. */
interface Ports {
  /** A redirected connection has the listener's. */
  readonly local: ReadonlySet<number>;
  readonly remote: ReadonlySet<number>;
}

async function establishedPorts(cluster: TestCluster, pod: string): Promise<Ports> {
  const { stdout } = await cluster.inPodNetns(pod, ["ss", "-Htn", "state", "established"]);
  const rows = stdout.split("\n").map((line) => line.trim().split(/\s+/));
  const column = (index: number): ReadonlySet<number> =>
    new Set(rows.map((row) => Number(row[index]?.split(":").at(-1))));
  return { local: column(2), remote: column(3) };
}
