import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request } from "node:https";
import { connect } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { BodyReader } from "./body.ts";
import { makeAuthority, reviewOf, SERVER_NAME, WebhookFixture } from "./webhook-fixture.ts";

const policy = (ports: unknown) => ({
  apiVersion: "security.istio.io/v1",
  kind: "AuthorizationPolicy",
  metadata: { name: "web", namespace: "shop" },
  spec: { rules: [{ to: [{ operation: { ports } }] }] },
});

test("a right object is let in, and a wrong one is refused with field, reason and remedy", async (t) => {
  const webhook = await WebhookFixture.start(t);
  assert.equal((await webhook.review(policy(["80"]))).allowed, true);
  const { allowed, status } = await webhook.review(policy(["80x"]), { uid: "u-1" });
  assert.equal(allowed, false);
  assert.equal(
    status?.message,
    'spec.rules[0].to[0].operation.ports[0]: "80x" is no port (a number from 1 to 65535)',
  );
  assert.equal(status.code, 400);
  const metrics = await webhook.metrics.metrics();
  assert.match(metrics, /galley_validation_passed\{.*resource="authorizationpolicies"\} 1/);
  assert.match(metrics, /galley_validation_failed\{.*reason="invalid_resource"\} 1/);
  assert.match(webhook.log.join(""), /AuthorizationPolicy\/shop\/web.*ann/);
});

test("the answer carries the uid of its review, and a dry run is judged the same", async (t) => {
  const webhook = await WebhookFixture.start(t);
  const { text, headers } = await webhook.post(
    JSON.stringify(reviewOf(policy(["0"]), { uid: "u-2", dryRun: true })),
  );
  assert.equal(headers["content-type"], "application/json");
  const { apiVersion, kind, response } = JSON.parse(text);
  assert.deepEqual(
    { apiVersion, kind },
    { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview" },
  );
  assert.equal(response.uid, "u-2");
  assert.equal(response.allowed, false);
});

test("many reviews at once are all answered, each with its own verdict", async (t) => {
  const webhook = await WebhookFixture.start(t);
  const verdicts = await Promise.all(
    Array.from({ length: 60 }, (_, i) => webhook.review(policy([i % 2 === 0 ? "80" : "x"]))),
  );
  assert.deepEqual(
    verdicts.map(({ allowed }) => allowed),
    verdicts.map((_, i) => i % 2 === 0),
  );
});

const deep = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
const OLDER = "admission.k8s.io/v1beta1";
const tooDeep = JSON.stringify(reviewOf(0)).replace('"object":0', `"object":${deep(500_000)}`);
const HOSTILE: readonly [string, string, number][] = [
  ["nothing", "", 400],
  ["no JSON", "{", 400],
  ["a list", "[]", 400],
  ["null", "null", 400],
  ["another kind", JSON.stringify({ apiVersion: "v1", kind: "Pod" }), 400],
  ["an older version", JSON.stringify({ ...reviewOf({}), apiVersion: OLDER }), 400],
  ["no request", JSON.stringify({ ...reviewOf({}), request: null }), 400],
  ["a request without uid", JSON.stringify(reviewOf({}, { uid: 7 })), 400],
  ["brackets without end", deep(1_000_000).slice(0, 1_000_000), 400],
  ["an object of half a million levels", tooDeep, 400],
  ["bytes that are no text", "\u0000\ufffd", 400],
];

for (const [what, body, status] of HOSTILE) {
  test(`${what} as body is answered with ${status}, and the next review as ever`, async (t) => {
    const webhook = await WebhookFixture.start(t);
    assert.equal((await webhook.post(body)).status, status);
    assert.equal((await webhook.review(policy(["80"]))).allowed, true);
  });
}

test("an object of any shape is refused or let in, and never breaks anything", async (t) => {
  const webhook = await WebhookFixture.start(t);
  const bare = { apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy" };
  const shapes = [null, 7, "x", [], {}, { ...bare }, { ...bare, metadata: 7 }];
  const more = [
    { ...bare, metadata: { name: 7 } },
    { ...bare, metadata: { name: "x" }, spec: [] },
  ];
  for (const object of [...shapes, ...more]) {
    const { text, status } = await webhook.post(
      JSON.stringify(reviewOf({}, { object, kind: null, userInfo: 7, resource: [] })),
    );
    assert.equal(status, 200);
    assert.equal(typeof JSON.parse(text).response.allowed, "boolean");
  }
  const proto = JSON.stringify(reviewOf(policy(["80"]))).replace(
    '"ports"',
    '"__proto__":{},"ports"',
  );
  assert.equal(JSON.parse((await webhook.post(proto)).text).response.allowed, false);
});

test("control characters and long texts of an object do not reach a terminal", async (t) => {
  const webhook = await WebhookFixture.start(t);
  const { status } = await webhook.review(policy([`\u001b[2J${"x".repeat(100_000)}`]));
  assert.ok(status);
  assert.ok(!status.message.includes("\u001b"));
  assert.ok(status.message.length < 3_000);
});

test("other paths, methods and types are told where to go", async (t) => {
  const webhook = await WebhookFixture.start(t);
  const body = JSON.stringify(reviewOf(policy(["80"])));
  const statusOf = async (more: object) => (await webhook.post(body, more)).status;
  assert.equal(await statusOf({ path: "/" }), 404);
  assert.equal(await statusOf({ path: "/validate/../etc" }), 404);
  assert.equal(await statusOf({ method: "PUT" }), 405);
  assert.equal(await statusOf({ headers: { "content-type": "text/plain" } }), 415);
  assert.match(await webhook.metrics.metrics(), /galley_validation_http_error\{status="404"\} 2/);
});

test("a review that is too large is refused, told in advance or not", async (t) => {
  const bodies = new BodyReader({ bodyBytes: 10_000, inFlightBytes: 1_000_000 });
  const webhook = await WebhookFixture.start(t, { bodies });
  const large = JSON.stringify(reviewOf(policy(["8".repeat(20_000)])));
  assert.equal((await webhook.post(large)).status, 413);
  const headers = { "content-type": "application/json", "transfer-encoding": "chunked" };
  assert.equal((await webhook.post(large, { headers })).status, 413);
  assert.equal((await webhook.review(policy(["80"]))).allowed, true);
});

test("reviews beyond the memory for them are refused, and room comes back", async (t) => {
  const bodies = new BodyReader({ bodyBytes: 100_000, inFlightBytes: 50_000 });
  const webhook = await WebhookFixture.start(t, { bodies });
  const slow = request(webhook.options());
  slow.on("error", () => undefined);
  slow.write(Buffer.alloc(45_000, 0x20));
  const big = Buffer.alloc(20_000, 0x20);
  while ((await webhook.post(big)).status !== 503);
  slow.destroy();
  while ((await webhook.post(big)).status !== 400);
});

test("a client that says nothing, or speaks no TLS, holds nobody up", async (t) => {
  const webhook = await WebhookFixture.start(t);
  const silent = connect(webhook.port, "127.0.0.1");
  const rude = connect(webhook.port, "127.0.0.1");
  t.after(() => silent.destroy());
  rude.write("GET / HTTP/1.0\r\n\r\n");
  t.after(() => rude.destroy());
  assert.equal((await webhook.review(policy(["80"]))).allowed, true);
});

test("clients that keep every connection for nothing keep no API server out", async (t) => {
  const webhook = await WebhookFixture.start(t, { connections: 4 });
  for (let i = 0; i < 4; i++) {
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    assert.equal((await webhook.post("", { agent, path: "/" })).status, 404);
  }
  const review = () => webhook.review(policy(["80"])).catch(() => undefined);
  await review();
  assert.equal((await review())?.allowed, true);
});

/** The serial number of the certificate that is shown. */
async function serialNumber(webhook: WebhookFixture): Promise<string> {
  const { rootsPem: ca } = webhook.authority.current;
  const host = "127.0.0.1";
  const socket = connectTls({ host, port: webhook.port, servername: SERVER_NAME, ca });
  await once(socket, "secureConnect");
  const { serialNumber: serial } = socket.getPeerCertificate();
  socket.destroy();
  return serial;
}

test("the certificate is renewed at half its life, and before nothing ends", async (t) => {
  const webhook = await WebhookFixture.start(t);
  const first = await serialNumber(webhook);
  webhook.server.checkCertificate();
  assert.equal(await serialNumber(webhook), first);
  // The test's CA lives for two days, and with it whatever it issues.
  webhook.now += 0.6 * 48 * 3_600_000;
  webhook.server.checkCertificate();
  assert.notEqual(await serialNumber(webhook), first);
  assert.equal((await webhook.review(policy(["80"]))).allowed, true);
});

test("another CA signs the certificate as soon as it is in force", async (t) => {
  const webhook = await WebhookFixture.start(t);
  webhook.authority.current = makeAuthority();
  webhook.server.checkCertificate();
  assert.equal((await webhook.review(policy(["80"]))).allowed, true);
});
