import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import type { ZdsRequest } from "#common/model/zds.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { decodeZdsAck, decodeZdsHello } from "#common/xds/decode-zds.ts";
import { encodeZdsRequest } from "#common/xds/encode-zds.ts";
import { listenSeqpacket, type SeqpacketConnection } from "#ztunnel/sys/seqpacket.ts";
import { ZdsClient } from "./zds-client.ts";
import { INFO, quiet, socketPath, until } from "./zds-fixtures.ts";

const ADD = encodeZdsRequest({ kind: "add", uid: "u1", info: INFO });

/** What the client asks of the pods, in order; `fail` makes the next request fail. */
class Recorder {
  readonly seen: (ZdsRequest["kind"] | "opened" | "closed")[] = [];
  fail: MeshError | undefined;

  connectionOpened(): void {
    this.seen.push("opened");
  }
  connectionClosed(): void {
    this.seen.push("closed");
  }
  apply({ kind }: ZdsRequest, fd: number | undefined): Promise<void> {
    this.seen.push(kind);
    if (fd !== undefined) fs.closeSync(fd);
    const { fail } = this;
    this.fail = undefined;
    return fail === undefined ? Promise.resolve() : Promise.reject(fail);
  }
}

function run(path: string) {
  const pods = new Recorder();
  const stop = new AbortController();
  const ended = new ZdsClient({ path, pods, log: quiet, random: () => 0 }).run(stop.signal);
  const dispose = async () => {
    stop.abort();
    await ended;
  };
  return { pods, [Symbol.asyncDispose]: dispose };
}

async function ask(agent: SeqpacketConnection, request: Uint8Array, fd?: number): Promise<string> {
  await agent.send(request, fd);
  const answer = await agent.receive();
  return decodeZdsAck(answer?.data ?? Buffer.of());
}

async function greeted(listener: ReturnType<typeof listenSeqpacket>): Promise<SeqpacketConnection> {
  const agent = await listener.accept();
  assert.ok(agent !== undefined);
  const hello = await agent.receive();
  assert.equal(decodeZdsHello(hello?.data ?? Buffer.of()), 1);
  return agent;
}

function descriptors(): number {
  return fs.readdirSync("/proc/self/fd").length;
}

test("introduces itself, does what is asked and acknowledges each", async () => {
  using socket = socketPath();
  const listener = listenSeqpacket(socket.path);
  await using client = run(socket.path);
  const agent = await greeted(listener);
  const fd = fs.openSync("/dev/null", "r");
  assert.equal(await ask(agent, ADD, fd), "");
  assert.equal(await ask(agent, encodeZdsRequest({ kind: "keep", uid: "u2" })), "");
  assert.equal(await ask(agent, encodeZdsRequest({ kind: "snapshot-sent" })), "");
  assert.equal(await ask(agent, encodeZdsRequest({ kind: "del", uid: "u1" })), "");
  assert.deepEqual(client.pods.seen, ["opened", "add", "keep", "snapshot-sent", "del"]);
  fs.closeSync(fd);
  agent.close();
  listener.close();
});

test("a pod that fails is an error of its answer and not the end of the connection", async () => {
  using socket = socketPath();
  const listener = listenSeqpacket(socket.path);
  await using client = run(socket.path);
  const agent = await greeted(listener);
  client.pods.fail = new MeshError("ZDS_POD_FAILED", "port 15001 is taken");
  const fd = fs.openSync("/dev/null", "r");
  assert.match(await ask(agent, ADD, fd), /port 15001 is taken/);
  assert.equal(await ask(agent, encodeZdsRequest({ kind: "snapshot-sent" })), "");
  fs.closeSync(fd);
  agent.close();
  listener.close();
});

test("an agent that breaks the protocol is told so, left, and tried again", async () => {
  using socket = socketPath();
  const listener = listenSeqpacket(socket.path);
  await using client = run(socket.path);
  const fd = fs.openSync("/dev/null", "r");
  const garbage = Buffer.alloc(900, 0xff);
  let before = 0;
  for (let attempt = 0; attempt < 3; attempt++) {
    const agent = await greeted(listener);
    assert.match(await ask(agent, garbage, fd), /cannot parse istio.workload.zds/);
    assert.equal(await agent.receive(), undefined);
    agent.close();
    await until("the end is noticed", () => client.pods.seen.length === (attempt + 1) * 2);
    // No descriptor that came with what could not be read stays open.
    if (attempt === 0) before = descriptors();
  }
  const agent = await greeted(listener);
  assert.ok(descriptors() <= before + 2, "descriptors are closed");
  assert.equal(await ask(agent, encodeZdsRequest({ kind: "snapshot-sent" })), "");
  fs.closeSync(fd);
  agent.close();
  listener.close();
});

test("an agent that is away is waited for, and one that comes back is greeted anew", async () => {
  using socket = socketPath();
  await using client = run(socket.path);
  const first = listenSeqpacket(socket.path);
  (await greeted(first)).close();
  first.close();
  await until("its end is noticed", () => client.pods.seen.length === 2);
  const second = listenSeqpacket(socket.path);
  (await greeted(second)).close();
  second.close();
  await until("it is noticed again", () => client.pods.seen.length === 4);
  assert.deepEqual(client.pods.seen, ["opened", "closed", "opened", "closed"]);
});
