import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import {
  AF_UNIX,
  loadLibc,
  loadSocketLibc,
  memoryAddress,
  SCM_RIGHTS,
  SOCK_SEQPACKET,
  SOL_SOCKET,
} from "./libc.ts";
import { connectSeqpacket, listenSeqpacket, type SeqpacketConnection } from "./seqpacket.ts";

describe("seqpacket sockets", () => {
  let dir: string;
  beforeEach(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "seqpacket-"));
  });
  afterEach(() => fs.rmSync(dir, { recursive: true }));

  async function pair(): Promise<[SeqpacketConnection, SeqpacketConnection]> {
    const listener = listenSeqpacket(path.join(dir, "s"));
    const client = connectSeqpacket(path.join(dir, "s"));
    const server = await listener.accept();
    listener.close();
    assert.ok(server);
    return [client, server];
  }

  test("keep the boundaries of messages", async () => {
    const [client, server] = await pair();
    await client.send(Buffer.from("one"));
    await client.send(Buffer.from("two"));
    assert.equal((await server.receive())?.data.toString(), "one");
    assert.equal((await server.receive())?.data.toString(), "two");
    client.close();
    server.close();
  });

  test("pass a descriptor that stays usable when the sender's is closed", async () => {
    const [client, server] = await pair();
    const file = path.join(dir, "f");
    fs.writeFileSync(file, "through the socket");
    const fd = fs.openSync(file, "r");
    await client.send(Buffer.from("here"), fd);
    fs.closeSync(fd);
    const message = await server.receive();
    assert.ok(message?.fd !== undefined);
    assert.equal(fs.readFileSync(message.fd, "utf8"), "through the socket");
    fs.closeSync(message.fd);
    await client.send(Buffer.from("nothing"));
    assert.equal((await server.receive())?.fd, undefined);
    client.close();
    server.close();
  });

  test("wait for a message that comes later, without holding up the event loop", async () => {
    const [client, server] = await pair();
    const message = server.receive();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await client.send(Buffer.from("late"));
    assert.equal((await message)?.data.toString(), "late");
    client.close();
    server.close();
  });

  test("wake a process that does nothing else", { timeout: 10_000 }, async (t) => {
    const server = `
      import { listenSeqpacket } from ${JSON.stringify(new URL("seqpacket.ts", import.meta.url))};
      for (const name of ["1", "2"]) {
        const listener = listenSeqpacket(process.argv[1] + name);
        listener.accept().then(async (connection) => {
          for (;;) {
            const message = await connection.receive();
            if (message === undefined) return;
            await connection.send(message.data);
          }
        });
      }
      process.stdout.write("ready");`;
    const args = ["--input-type=module", "-e", server, path.join(dir, "s")];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    t.after(() => child.kill("SIGKILL"));
    await once(child.stdout, "data");
    for (const name of ["1", "2"]) {
      const client = connectSeqpacket(path.join(dir, `s${name}`));
      await client.send(Buffer.from("echo"));
      assert.equal((await client.receive())?.data.toString(), "echo");
      client.close();
    }
  });

  test("say the end of a connection, from either side", async () => {
    const [client, server] = await pair();
    const pending = server.receive();
    client.close();
    assert.equal(await pending, undefined);
    const [, second] = await pair();
    const own = second.receive();
    second.close();
    assert.equal(await own, undefined);
    await assert.rejects(server.send(Buffer.from("x")), { code: "EPIPE" });
    server.close();
  });

  test("a closed listener ends its accept and leaves no file", async () => {
    const listener = listenSeqpacket(path.join(dir, "s"));
    const accepted = listener.accept();
    await new Promise((resolve) => setTimeout(resolve, 10));
    listener.close();
    assert.equal(await accepted, undefined);
    assert.deepEqual(fs.readdirSync(dir), []);
  });

  test("a closed listener leaves the file of one that has taken its place", async () => {
    const name = path.join(dir, "s");
    const old = listenSeqpacket(name);
    fs.rmSync(name);
    const young = listenSeqpacket(name);
    old.close();
    const client = connectSeqpacket(name);
    assert.ok(await young.accept());
    client.close();
    young.close();
  });

  test("a message with two descriptors is refused, and neither stays open", async () => {
    const listener = listenSeqpacket(path.join(dir, "s"));
    const client = connectAndSendTwoDescriptors(path.join(dir, "s"));
    const server = await listener.accept();
    assert.ok(server);
    const open = () => fs.readdirSync("/proc/self/fd").length;
    const before = open();
    await assert.rejects(server.receive(), { code: "EMSGSIZE" });
    // Fewer where something of an earlier test has closed meanwhile.
    assert.ok(open() <= before, `${open()} descriptors after ${before}`);
    fs.closeSync(client);
    server.close();
    listener.close();
  });

  test("refuse what cannot be, with the reason", async () => {
    assert.throws(() => connectSeqpacket(path.join(dir, "nobody")), { code: "ENOENT" });
    assert.throws(() => listenSeqpacket(path.join(dir, "x".repeat(120))), { code: "ENAMETOOLONG" });
    const [client, server] = await pair();
    await client.send(Buffer.alloc(70_000));
    await assert.rejects(server.receive(), { code: "EMSGSIZE" });
    client.close();
    server.close();
  });
});

/** A message with two descriptors, as `SeqpacketConnection` would never send it. */
function connectAndSendTwoDescriptors(socket: string): number {
  const { connect, sendmsg } = loadSocketLibc();
  const fd = loadLibc().socket(AF_UNIX, SOCK_SEQPACKET, 0);
  const address = Buffer.from(`\x01\0${socket}\0`);
  assert.equal(connect(fd, address, address.length), 0);
  const data = Buffer.from("two");
  // struct cmsghdr: length, level, type, descriptors.
  const control = Buffer.alloc(24);
  control.writeBigUInt64LE(24n, 0);
  for (const [at, value] of [SOL_SOCKET, SCM_RIGHTS, 0, 1].entries()) {
    control.writeInt32LE(value, 8 + at * 4);
  }
  const iovec = words(memoryAddress(data), BigInt(data.length));
  const header = words(0n, 0n, memoryAddress(iovec), 1n, memoryAddress(control), 24n, 0n);
  assert.equal(sendmsg(fd, header, 0), data.length);
  return fd;
}

function words(...values: readonly bigint[]): Buffer {
  const buffer = Buffer.alloc(values.length * 8);
  for (const [i, value] of values.entries()) buffer.writeBigUInt64LE(value, i * 8);
  return buffer;
}
