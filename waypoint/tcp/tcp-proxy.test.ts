/** Bytes through a waypoint: HBONE in, HBONE out, on loopback. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { ClientHttp2Stream } from "node:http2";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { failure } from "#common/transport/failure.ts";
import type { PartsContext } from "../data-plane.ts";
import type { Upstreams } from "../upstream/upstream.ts";
import { PLAIN_GATEWAY, plainService, WaypointFixture } from "../waypoint-fixture.ts";

const ECHO = plainService("echo", "10.96.0.1", {
  ports: [
    { port: 7, protocol: "tcp" },
    { port: 9, protocol: "auto" },
  ],
});

/** The first endpoint of the backend, or the workload itself. */
function firstEndpoint({ mesh, dial }: PartsContext): Pick<Upstreams, "connect"> {
  return {
    connect: async ({ backend, downstream, signal, workload }) => {
      const service = mesh.findServiceByKey(`${backend.namespace}/${backend.hostname}`);
      const found = workload ?? (service && [...mesh.endpointsOf(service).workloads.values()][0]);
      const ip = found?.addresses[0];
      if (found === undefined || ip === undefined) {
        return { status: 503, reason: "no-healthy-upstream", body: "no healthy upstream" };
      }
      const ports = found.services.get(`${backend.namespace}/${backend.hostname}`);
      const port = ports?.find(({ servicePort }) => servicePort === backend.port);
      const endpoint = {
        workload: found,
        address: { ip, port: port?.targetPort ?? backend.port },
        transport: found.tunnelProtocol === "hbone" ? ("hbone" as const) : ("plaintext" as const),
      };
      const client = downstream.source;
      const wire = await dial({ endpoint, backend, policy: {}, protocol: "tcp", client, signal });
      return "asEnd" in wire
        ? { endpoint, wire, finished: () => undefined }
        : { ...wire, endpoint };
    },
  };
}

let denied = false;

describe("a waypoint that carries bytes", () => {
  let fixture: WaypointFixture;
  before(async () => {
    fixture = await WaypointFixture.start({
      parts: (context) => ({
        upstreams: firstEndpoint(context),
        serveHttp: () => {
          throw new Error("nothing here is HTTP");
        },
        authorize: () => (denied ? failure("explicit-deny", "denied by the test") : undefined),
        close: () => undefined,
      }),
    });
    await fixture.addService(ECHO);
  });
  after(() => fixture.stop());

  test("delivers both ways, half-closes included, and says who the client is", async () => {
    const pod = await fixture.startPod("echo", [ECHO], (socket) => socket.pipe(socket));
    const headers = { forwarded: 'for="127.0.0.1:4242";host=echo' };
    const { status, stream } = await fixture.connect("10.96.0.1:7", { headers });
    assert.equal(status, 200);
    stream.end("hello");
    assert.equal(await textOf(stream), "hello");
    const [connect = {}] = pod.connects;
    assert.match(String(connect[":authority"]), /^127\.\d+\.\d+\.\d+:\d+$/);
    assert.equal(connect.forwarded, `for="127.0.0.1:4242";host=${ECHO.hostname}`);
    assert.equal(connect["x-istio-source"], "waypoint");
    assert.equal(pod.hbone.tunnels[0]?.clientUri, fixture.identity.uri);
    assert.match(String(connect.traceparent), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    assert.match(String(connect.baggage), /k8s.namespace.name=shop/);
    const [, closed] = await recordsOf(fixture, 2);
    assert.ok(closed?.record.event === "closed");
    assert.deepEqual(closed.record.total, { fromClient: 5, fromServer: 5 });
    assert.equal(closed.labels.reporter, "waypoint");
    assert.equal(closed.labels.source.name, "client");
    assert.equal(closed.labels.destination.name, "echo");
    pod.stop();
    fixture.removeWorkload(pod.workload);
  });

  test("lets a server speak first where the port does not say what it carries", async () => {
    const pod = await fixture.startPod(
      "greeter",
      [ECHO],
      (socket) => void socket.end("220 hi\r\n"),
    );
    const { status, stream } = await fixture.connect("10.96.0.1:9");
    assert.equal(status, 200);
    assert.equal(await textOf(stream), "220 hi\r\n");
    pod.stop();
    fixture.removeWorkload(pod.workload);
  });

  test("answers 503 where there is no endpoint, and 401 where a policy denies", async () => {
    assert.equal((await fixture.connect("10.96.0.1:7")).status, 503);
    denied = true;
    assert.equal((await fixture.connect("10.96.0.1:7")).status, 401);
    denied = false;
  });

  test("cuts a connection that stands when a policy denies it later, and no other", async () => {
    const pod = await fixture.startPod("echo2", [ECHO], (socket) => socket.pipe(socket));
    const { stream } = await fixture.connect("10.96.0.1:7");
    stream.write("a");
    assert.equal(String((await once(stream, "data"))[0]), "a");
    await fixture.set(PLAIN_GATEWAY);
    stream.write("b");
    assert.equal(String((await once(stream, "data"))[0]), "b");
    denied = true;
    await fixture.set(PLAIN_GATEWAY);
    await new Promise<void>((resolve) => stream.once("close", () => resolve()));
    denied = false;
    const closed = () => fixture.records.filter(({ record }) => record.event === "closed");
    const told = () => JSON.stringify(closed());
    while (!/policy change: denied by the test/.test(told())) await sleep(5);
    pod.stop();
    fixture.removeWorkload(pod.workload);
  });

  test("serves nothing that is not bound to it", async () => {
    const session = await fixture.dial();
    const statusOf = async (authority: string): Promise<number> =>
      (await fixture.connect(authority, { session })).status;
    assert.equal(await statusOf("10.96.0.2:7"), 404);
    assert.equal(await statusOf("10.96.0.1:8"), 404);
    assert.equal(await statusOf("127.0.0.1:7"), 404);
    assert.equal(await statusOf("169.254.169.254:80"), 404);
    assert.equal(await statusOf("elsewhere.example.com:7"), 404);
    assert.equal(await statusOf("10.96.0.1"), 400);
    assert.equal(await statusOf("10.96.0.1:0"), 400);
    assert.equal(await statusOf(`${ECHO.hostname}:7`), 503);
  });
});

async function textOf(stream: ClientHttp2Stream): Promise<string> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  return Buffer.concat(chunks).toString();
}

/** Resolves once there are so many. */
async function recordsOf(fixture: WaypointFixture, count: number) {
  while (fixture.records.length < count) await sleep(5);
  return fixture.records.splice(0);
}
