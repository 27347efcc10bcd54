/** Clients that stay for long, and clients that are slow, from pod to pod through a waypoint. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WaypointMesh } from "#test/support/waypoint-mesh.ts";
import { residentMb, waypointProcess } from "#test/support/waypoint-process.ts";

/** Set it to talk for longer than in a run of all tests. */
const SECONDS = Number(process.env.WEBSOCKET_SECONDS ?? 60);
const UNREAD = 20;
/** Of 20 answers of 200 MiB that nobody reads. */
const MAX_GROWTH_MB = 150;

/** Of the answer: it counts from the end of the request. */
const TIMEOUT = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: hasty, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: api-v2}]
  rules: [{timeouts: {request: 3s}, backendRefs: [{name: api-v2, port: 80}]}]
`;

describe("through a waypoint", () => {
  let mesh: WaypointMesh;
  let chat: Promise<Record<string, unknown>>;

  before(async () => {
    mesh = await WaypointMesh.start();
    const patienceMs = (SECONDS + 60) * 1_000;
    chat = mesh.talk(["chat", "ws://api.shop/push", String(SECONDS)], patienceMs);
    chat.catch(() => undefined);
  });
  after(() => mesh?.stop());

  const dribble = (service: string, ...what: readonly string[]) =>
    mesh.talk(["dribble", `${service}.shop:80`, ...what]);

  test("a header that comes byte by byte and never ends is answered 408", async () => {
    const { received } = await dribble("api", "header");
    assert.match(String(received), /^HTTP\/1\.1 408 /);
  });

  test("a body that comes byte by byte is served, though it takes longer than its route's timeout", async () => {
    await mesh.cluster.apply(TIMEOUT);
    const slow = "http://api-v2.shop/slow/30000";
    await mesh.until("the timeout is in force", slow, ({ status }) => status === 504);
    const { received } = await dribble("api-v2", "body", "6");
    assert.match(String(received), /^HTTP\/1\.1 200 /);
    assert.match(String(received), /"bytes":60/);
  });

  test("answers that nobody reads cost bounded memory, and others are served", async () => {
    const pid = await waypointProcess(mesh);
    const before = residentMb(pid);
    const unread = dribble("api", "unread", String(UNREAD), "/large/200");
    let most = before;
    for (let i = 0; i < 5; i++) {
      assert.equal((await mesh.curl("http://api.shop/")).status, 200);
      most = Math.max(most, residentMb(pid));
    }
    assert.equal((await unread).open, UNREAD);
    most = Math.max(most, residentMb(pid));
    assert.ok(most - before < MAX_GROWTH_MB, `from ${before} to ${most} MB`);
  });

  test(`a WebSocket talks both ways for ${SECONDS} s, and pings are answered`, async () => {
    const result = await chat;
    const told = JSON.stringify(result);
    const { sent, messages, outOfOrder, pongs, pings, pushed, early, code } = result;
    assert.deepEqual(
      [messages, pongs, outOfOrder, early, code],
      [sent, sent, 0, false, 1000],
      told,
    );
    assert.ok(Number(sent) > SECONDS, told);
    assert.ok(Number(pushed) > SECONDS / 4 && Number(pings) > SECONDS / 4, told);
  });
});
