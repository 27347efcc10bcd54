import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import type { ZdsRequest } from "#common/model/zds.ts";
import { decodeZdsRequest } from "#common/xds/decode-zds.ts";
import { encodeZdsAck, encodeZdsHello } from "#common/xds/encode-zds.ts";
import { connectSeqpacket, type SeqpacketConnection } from "#ztunnel/sys/seqpacket.ts";
import { INFO, quiet, socketPath, until } from "./zds-fixtures.ts";
import { ZdsServer, type ZdsServerDeps } from "./zds-server.ts";

/** A ztunnel that does as a test says. */
class Ztunnel {
  readonly connection: SeqpacketConnection;

  private constructor(connection: SeqpacketConnection) {
    this.connection = connection;
  }

  static async connect(path: string, hello = encodeZdsHello()): Promise<Ztunnel> {
    const ztunnel = new Ztunnel(connectSeqpacket(path));
    await ztunnel.connection.send(hello);
    return ztunnel;
  }

  /** The next request, answered; undefined when the server has let go. */
  async next(error = ""): Promise<ZdsRequest | undefined> {
    const message = await this.connection.receive();
    if (message === undefined) return undefined;
    if (message.fd !== undefined) fs.closeSync(message.fd);
    await this.connection.send(encodeZdsAck(error));
    return decodeZdsRequest(message.data);
  }
}

function serve(path: string, more: Partial<ZdsServerDeps> = {}) {
  const answers: [uid: string, error: string][] = [];
  const onAnswer = (uid: string, error: string) => void answers.push([uid, error]);
  const server = new ZdsServer({ path, log: quiet, onAnswer, ...more });
  return { server, answers, [Symbol.dispose]: () => server.close() };
}

const netnsFd = fs.openSync("/proc/self/ns/net", "r");
const pod = (uid: string) => ({ uid, info: INFO, netnsFd });

test("a ztunnel is given every pod with its namespace, then told that that was all", async () => {
  using socket = socketPath();
  using agent = serve(socket.path, { known: () => ["u1", "no-netns"] });
  agent.server.add(pod("u1"));
  agent.server.listen();
  const ztunnel = await Ztunnel.connect(socket.path);
  assert.deepEqual(await ztunnel.next(), { kind: "keep", uid: "no-netns" });
  const add = await ztunnel.connection.receive();
  assert.deepEqual(decodeZdsRequest(add?.data ?? Buffer.of()), {
    kind: "add",
    uid: "u1",
    info: INFO,
  });
  assert.equal(fs.fstatSync(add?.fd ?? -1).ino, fs.fstatSync(netnsFd).ino);
  fs.closeSync(add?.fd ?? -1);
  await ztunnel.connection.send(encodeZdsAck(""));
  assert.deepEqual(await ztunnel.next(), { kind: "snapshot-sent" });
  await until("the answer is told", () => agent.answers.length === 1);
  assert.deepEqual(agent.answers, [["u1", ""]]);
});

test("upstream 56738: a pod that went before a ztunnel came is in no snapshot", async () => {
  using socket = socketPath();
  using agent = serve(socket.path);
  agent.server.add(pod("u1"));
  agent.server.add(pod("u2"));
  await agent.server.remove("u1");
  agent.server.listen();
  const ztunnel = await Ztunnel.connect(socket.path);
  assert.equal((await ztunnel.next())?.kind, "add");
  assert.deepEqual(await ztunnel.next(), { kind: "snapshot-sent" });
});

test("what changes while a snapshot is under way comes after it", async () => {
  using socket = socketPath();
  using agent = serve(socket.path);
  agent.server.add(pod("u1"));
  agent.server.listen();
  const ztunnel = await Ztunnel.connect(socket.path);
  const first = await ztunnel.connection.receive();
  assert.equal(decodeZdsRequest(first?.data ?? Buffer.of()).kind, "add");
  agent.server.add(pod("u2"));
  const removed = agent.server.remove("u1");
  await ztunnel.connection.send(encodeZdsAck(""));
  const rest = [await ztunnel.next(), await ztunnel.next(), await ztunnel.next()];
  assert.deepEqual(rest, [
    { kind: "snapshot-sent" },
    { kind: "add", uid: "u2", info: INFO },
    { kind: "del", uid: "u1" },
  ]);
  await removed;
  if (first?.fd !== undefined) fs.closeSync(first.fd);
});

test("of two ztunnels the newer is given a new pod, and both let a removed one go", async () => {
  using socket = socketPath();
  using agent = serve(socket.path);
  agent.server.listen();
  const old = await Ztunnel.connect(socket.path);
  assert.deepEqual(await old.next(), { kind: "snapshot-sent" });
  const young = await Ztunnel.connect(socket.path);
  assert.deepEqual(await young.next(), { kind: "snapshot-sent" });
  agent.server.add(pod("u1"));
  assert.equal((await young.next())?.kind, "add");
  await until("it is acknowledged", () => agent.answers.length === 1);
  const removed = agent.server.remove("u1");
  assert.deepEqual(await old.next(), { kind: "del", uid: "u1" });
  assert.deepEqual(await young.next(), { kind: "del", uid: "u1" });
  await removed;
});

test("a pod that is refused is offered again, and why is told", async () => {
  using socket = socketPath();
  using agent = serve(socket.path);
  agent.server.listen();
  const ztunnel = await Ztunnel.connect(socket.path);
  await ztunnel.next();
  agent.server.add(pod("u1"));
  assert.equal((await ztunnel.next("no room"))?.kind, "add");
  assert.equal((await ztunnel.next())?.kind, "add");
  await until("both answers are told", () => agent.answers.length === 2);
  assert.deepEqual(agent.answers, [
    ["u1", "no room"],
    ["u1", ""],
  ]);
});

test("a pod that nobody was there for is given to the ztunnel that comes next", async () => {
  using socket = socketPath();
  using agent = serve(socket.path);
  agent.server.listen();
  const gone = await Ztunnel.connect(socket.path);
  await gone.next();
  gone.connection.close();
  await until("it is noticed", () => agent.server.connections === 0);
  agent.server.add(pod("u1"));
  const ztunnel = await Ztunnel.connect(socket.path);
  assert.equal((await ztunnel.next())?.kind, "add");
  assert.equal((await ztunnel.next())?.kind, "snapshot-sent");
});

const RUDE: Readonly<Record<string, (ztunnel: Ztunnel) => Promise<unknown>>> = {
  "answers with what is no acknowledgement": async (ztunnel) => {
    await ztunnel.connection.receive();
    await ztunnel.connection.send(Buffer.from("\x12\x00"));
  },
  "speaks unasked": async (ztunnel) => {
    await ztunnel.next();
    await ztunnel.connection.send(encodeZdsAck(""));
  },
  "sends no protobuf": async (ztunnel) => {
    await ztunnel.connection.receive();
    await ztunnel.connection.send(Buffer.alloc(1000, 0xff));
  },
};
for (const [what, behave] of Object.entries(RUDE)) {
  test(`a ztunnel that ${what} is let go, and others are served`, async () => {
    using socket = socketPath();
    using agent = serve(socket.path);
    agent.server.listen();
    const rude = await Ztunnel.connect(socket.path);
    await behave(rude);
    assert.equal(await rude.next(), undefined);
    const ztunnel = await Ztunnel.connect(socket.path);
    assert.equal((await ztunnel.next())?.kind, "snapshot-sent");
  });
}

test("a ztunnel of another version of the protocol is given nothing", async () => {
  using socket = socketPath();
  using agent = serve(socket.path);
  agent.server.add(pod("u1"));
  agent.server.listen();
  const ztunnel = await Ztunnel.connect(socket.path, Buffer.from([0x08, 2]));
  assert.equal(await ztunnel.next(), undefined);
});

test("a socket that an earlier process left behind is replaced", async () => {
  using socket = socketPath();
  using first = serve(socket.path);
  first.server.listen();
  using second = serve(socket.path);
  second.server.listen();
  const ztunnel = await Ztunnel.connect(socket.path);
  assert.equal((await ztunnel.next())?.kind, "snapshot-sent");
  assert.equal(second.server.connections, 1);
});
