/**
 * Policies on connections whose bytes a waypoint carries: asked of an external authorizer, and held
 * to what changes while they stand.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2, { type ClientHttp2Stream, type ServerHttp2Stream } from "node:http2";
import type net from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ExtAuthzProvider, L7Authorization } from "#common/model/waypoint/policy.ts";
import { type CheckRequest, type CheckResponse, check } from "#common/xds/external-auth-rpc.ts";
import { extAuthzProvider } from "../filter/ext-authz/provider-fixture.ts";
import { authorization, serviceWith } from "../filter/request-fixture.ts";
import { plainService, type RunningPod, WaypointFixture } from "../waypoint-fixture.ts";

const VIP = "10.96.0.1";
const ECHO = plainService("echo", VIP, { ports: [{ port: 7, protocol: "tcp" }] });
const AUTHZ = plainService("authz", "10.96.0.2");

const PROVIDER = extAuthzProvider({
  protocol: "grpc",
  namespace: AUTHZ.namespace,
  hostname: AUTHZ.hostname,
});

const ALLOW: CheckResponse = {
  allowed: true,
  requestHeaders: [],
  removedHeaders: [],
  responseHeaders: [],
};
const DENY: CheckResponse = { allowed: false, code: 7, httpStatus: 403, headers: [], body: "" };

let fixture: WaypointFixture;
let seen: CheckRequest[] = [];
let answer: CheckResponse | undefined;

const authorizer = http2.createServer();
authorizer.on("stream", (stream: ServerHttp2Stream) => void decide(stream));

async function decide(stream: ServerHttp2Stream): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  seen.push(check.requestDeserialize(Buffer.concat(chunks).subarray(5)));
  if (answer === undefined) return void stream.destroy();
  const message = check.responseSerialize(answer);
  const length = Buffer.alloc(5);
  length.writeUInt32BE(message.length, 1);
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(Buffer.concat([length, message]));
}

function custom(provider: Partial<ExtAuthzProvider> = {}): L7Authorization {
  return { ...authorization("ask", "custom", [{}]), provider: { ...PROVIDER, ...provider } };
}

async function inForce(...authorizations: readonly L7Authorization[]): Promise<void> {
  await fixture.set({ ...ECHO, policies: serviceWith({ authorizations }).policies });
}

async function connect(): Promise<{ readonly status: number; readonly stream: ClientHttp2Stream }> {
  const { status, stream } = await fixture.connect(`${VIP}:7`);
  stream.on("error", () => undefined);
  return { status, stream };
}

async function statusOf(): Promise<number> {
  const { status, stream } = await connect();
  stream.destroy();
  return status;
}

async function echoes(stream: ClientHttp2Stream, text: string): Promise<void> {
  stream.write(text);
  assert.equal(String((await once(stream, "data"))[0]), text);
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`it does not hold that ${what}`);
    await sleep(5);
  }
}

before(async () => {
  fixture = await WaypointFixture.start();
  await fixture.addService(ECHO);
  await fixture.addService(AUTHZ);
  await fixture.startPod("echo", [ECHO], (socket) => void socket.pipe(socket));
  const carry = (socket: net.Socket) => authorizer.emit("connection", socket);
  await fixture.startPod("authz", [AUTHZ], carry);
});
after(() => fixture.stop());
beforeEach(async () => {
  seen = [];
  answer = ALLOW;
  fixture.records.length = 0;
  await inForce();
});

describe("a CUSTOM policy on a TCP connection", () => {
  test("asks its provider over gRPC who may call whom, and nothing about HTTP", async () => {
    await inForce(custom());
    const { status, stream } = await connect();
    assert.equal(status, 200);
    await echoes(stream, "a");
    stream.destroy();
    assert.equal(seen.length, 1);
    const [{ source, destination, http } = assert.fail()] = seen;
    assert.equal(source.principal, "spiffe://cluster.local/ns/shop/sa/client");
    assert.deepEqual(destination.address, { ip: VIP, port: 7 });
    assert.equal(http, undefined);
  });

  test("refuses what the provider denies, and what it does not answer", async () => {
    await inForce(custom());
    answer = DENY;
    assert.equal(await statusOf(), 401);
    const told = () => JSON.stringify(fixture.records);
    await until("it is told", () => /shop\/ask rule 0: its provider does not allow/.test(told()));
    answer = undefined;
    assert.equal(await statusOf(), 401);
    await inForce(custom({ failOpen: true }));
    assert.equal(await statusOf(), 200);
    answer = DENY;
    assert.equal(await statusOf(), 401, "failing open is for those who do not answer");
  });

  test("refuses where its provider is not known or speaks HTTP, and asks nobody", async () => {
    const { provider: _, ...nobody } = custom();
    await inForce(nobody);
    assert.equal(await statusOf(), 401);
    await inForce(custom({ protocol: "http", failOpen: true }));
    assert.equal(await statusOf(), 401);
    await inForce(custom(), authorization("never", "deny", [{}]));
    assert.equal(await statusOf(), 401);
    assert.deepEqual(seen, []);
  });
});

describe("a TCP connection that stands", () => {
  let standing: ClientHttp2Stream;
  beforeEach(async () => {
    const { status, stream } = await connect();
    assert.equal(status, 200);
    await echoes(stream, "first");
    standing = stream;
  });

  const isCut = () => until("it is cut", () => standing.closed);

  test("goes on when policies come that let it pass, and when they go", async () => {
    await inForce(authorization("all", "allow", [{}]));
    await echoes(standing, "allowed");
    await inForce();
    await echoes(standing, "free");
    standing.destroy();
  });

  test("is cut by a DENY that comes, and new ones pass again when it has gone", async () => {
    const never = authorization("never", "deny", [{}]);
    await inForce(never);
    await isCut();
    // The connection of the test before may end late, too.
    const closed = () => fixture.records.filter(({ record }) => record.event === "closed");
    const told = () => JSON.stringify(closed());
    await until("it is told", () => /"policy-changed"/.test(told()));
    assert.match(told(), /due to policy change: [^"]*shop\/never rule 0/);
    assert.equal(await statusOf(), 401);
    await inForce();
    assert.equal(await statusOf(), 200);
  });

  test("is cut when the ALLOW that let it pass is deleted, and others are left", async () => {
    const others = authorization("others", "allow", [{ from: [{ namespaces: ["other"] }] }]);
    await inForce(authorization("all", "allow", [{}]), others);
    await echoes(standing, "still");
    await inForce(others);
    await isCut();
  });

  test("is asked about when a CUSTOM comes, once, and stands by the answer", async () => {
    await inForce(custom());
    await until("it was asked about", () => seen.length === 1);
    await echoes(standing, "asked");
    answer = DENY;
    await inForce(custom(), authorization("all", "allow", [{}]));
    await echoes(standing, "permitted by the same provider");
    assert.equal(seen.length, 1);
    await inForce(custom({ timeoutMs: 19_000 }));
    await isCut();
    assert.equal(seen.length, 2);
  });

  test("is judged by a DENY at once while an authorizer lets everybody wait", async () => {
    const held = Promise.withResolvers<void>();
    const slow = http2.createServer();
    slow.on("stream", () => held.resolve());
    const config = plainService("slow", "10.96.0.3");
    await fixture.addService(config);
    const carry = (socket: net.Socket) => slow.emit("connection", socket);
    const pod: RunningPod = await fixture.startPod("slow", [config], carry);
    await inForce(custom({ hostname: config.hostname }));
    await held.promise;
    await echoes(standing, "meanwhile");
    await inForce(authorization("never", "deny", [{}]));
    await isCut();
    pod.stop();
  });
});
