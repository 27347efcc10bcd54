import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
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
