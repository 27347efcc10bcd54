/** What `/connections` shows of connections of every kind that stand in a whole waypoint. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { plainService, type RunningPod, WaypointFixture } from "../waypoint-fixture.ts";
import { writeConnections } from "./connections.ts";

const WEB = plainService("web", "10.96.0.1", { ports: [{ port: 80, protocol: "http" }] });
const ECHO = plainService("echo", "fd00::2", { ports: [{ port: 7, protocol: "tcp" }] });

let fixture: WaypointFixture;
let echo: RunningPod;
before(async () => {
  fixture = await WaypointFixture.start();
  for (const config of [WEB, ECHO]) await fixture.addService(config);
  echo = await fixture.startPod("echo", [ECHO], (socket) => void socket.pipe(socket));
});
after(() => fixture.stop());

interface Shown {
  readonly connections: readonly Readonly<Record<string, unknown>>[];
  readonly tunnels: readonly object[];
}

async function shown(): Promise<Shown> {
  const connections = fixture.dataPlane.connections.list();
  const tunnels = fixture.dataPlane.tunnels();
  // A second and a bit after the oldest began.
  const now = Date.now() + 1_200;
  const chunks: string[] = [];
  for await (const chunk of writeConnections({ connections, tunnels, now })) {
    chunks.push(chunk);
  }
  return JSON.parse(chunks.join(""));
}

async function showing(count: number): Promise<Shown> {
  for (;;) {
    const all = await shown();
    if (all.connections.length === count) return all;
    await sleep(10);
  }
}

test("clients' connections and tunnels to endpoints are shown while they stand", async () => {
  assert.deepEqual(await shown(), { connections: [], tunnels: [] });
  const bytes = await fixture.connect("[fd00::2]:7");
  bytes.stream.write("hello");
  await once(bytes.stream, "data");
  const silent = await fixture.connect(`${WEB.hostname}:80`);
  const { connections, tunnels } = await showing(2);

  const uid = echo.workload.uid;
  const address = echo.connects[0]?.[":authority"];
  const peer = "spiffe://cluster.local/ns/shop/sa/client";
  const [first, second] = connections;
  assert.match(String(first?.src), /^127\.0\.0\.1:\d+$/);
  assert.ok(Number(first?.seconds) >= 1);
  const echoed = { peer, dst: "[fd00::2]:7", service: ECHO.hostname, carries: "bytes" };
  const { src: _src, seconds: _seconds, ...rest } = { ...first };
  assert.deepEqual(rest, { ...echoed, endpoint: uid, address });
  assert.deepEqual([second?.dst, second?.carries], [`${WEB.hostname}:80`, "undecided"]);
  const hbone = `${echo.workload.addresses[0]}:15008`;
  assert.deepEqual(tunnels, [{ workload: uid, address: hbone, streams: 1 }]);

  silent.stream.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
  await once(silent.stream, "data");
  assert.equal((await showing(2)).connections[1]?.carries, "http1");
  for (const { stream } of [bytes, silent]) stream.close();
  await showing(0);
});
