import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { FlushBatcher } from "./flush-batcher.ts";
import { SOCKET_WRITE_QUEUE_BYTES } from "./limits.ts";
import { type RelayOutcome, relay } from "./relay.ts";
import { SocketEnd } from "./socket-end.ts";
import { KINDS, Listener, tcpPair } from "./socket-end-fixture.ts";

const batcher = new FlushBatcher();

async function readAll(stream: Duplex): Promise<{ bytes: number; hash: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length;
    hash.update(chunk);
  }
  return { bytes, hash: hash.digest("hex") };
}

/** Until it reads no more, because nobody takes what it has. */
async function filled(stream: Duplex): Promise<void> {
  while (stream.readableLength < stream.readableHighWaterMark) await turn();
}

for (const { name, pair, probes = true } of KINDS) {
  async function started() {
    const { own, peer, resetPeer } = await pair();
    const end = new SocketEnd(own, batcher);
    const listener = new Listener();
    end.start(listener);
    return { end, own, peer, resetPeer, listener };
  }

  test(`${name}: a peer that half-closes first still gets the whole answer`, async () => {
    const { end, peer, listener } = await started();
    peer.end("question");
    await listener.heard("end");
    assert.equal(listener.text, "question");
    assert.equal(end.bytesRead, 8);
    end.write(Buffer.alloc(300_000), undefined);
    end.shutdown();
    assert.equal((await readAll(peer)).bytes, 300_000);
    assert.equal(await listener.closed, undefined);
  });

  test(`${name}: an end that came before the start is told`, async () => {
    const { own, peer } = await pair();
    const end = new SocketEnd(own, batcher);
    peer.end();
    await once(own, "end");
    const listener = new Listener();
    end.start(listener);
    assert.equal(listener.count("end"), 1);
    end.write(Buffer.from("answer"), undefined);
    end.shutdown();
    assert.equal((await readAll(peer)).bytes, 6);
    assert.equal(await listener.closed, undefined);
  });

  test(`${name}: what the peer sends after our half-close arrives`, async () => {
    const { end, peer, listener } = await started();
    end.write(Buffer.from("bye"), undefined);
    end.shutdown();
    assert.equal((await readAll(peer)).bytes, 3);
    peer.end(Buffer.alloc(300_000));
    assert.equal(await listener.closed, undefined);
    assert.equal(end.bytesRead, 300_000);
    assert.equal(listener.count("end"), 1);
  });

  test(`${name}: a reset is seen by the peer as a reset`, async () => {
    const { end, peer, listener } = await started();
    const failed = once(peer.resume(), "error");
    end.reset();
    end.reset();
    const [error] = (await failed) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
    assert.match(String(await listener.closed), /connection closed/);
    assert.equal(end.write(Buffer.from("late"), undefined), false);
    await turn();
    assert.equal(listener.count("closed"), 1);
  });

  test(`${name}: a reset by the peer is told as one`, async () => {
    const { resetPeer, listener } = await started();
    resetPeer();
    assert.equal((await listener.closed)?.code, "ECONNRESET");
    assert.equal(listener.count("end"), 0);
  });

  if (probes) {
    test(`${name}: a reset by a peer that is not read is found by a probe`, async () => {
      const { end, own, peer, resetPeer, listener } = await started();
      listener.willing = false;
      peer.write(Buffer.alloc(1 << 20));
      await listener.heard("data");
      await filled(own);
      resetPeer();
      while (listener.count("closed") === 0) {
        end.probe();
        await sleep(10);
      }
      assert.match((await listener.closed)?.code ?? "", /ECONNRESET|EPIPE/);
    });
  }

  test(`${name}: a reader that takes no more holds the peer back until it resumes`, async () => {
    const { end, own, peer, listener } = await started();
    listener.willing = false;
    const bytes = 32 << 20;
    peer.end(Buffer.alloc(bytes));
    await listener.heard("data");
    await filled(own);
    assert.equal(listener.count("data"), 1);
    assert.ok(peer.writableLength > 0, "nothing waits at the peer");
    listener.willing = true;
    end.resume();
    await listener.heard("end");
    assert.equal(end.bytesRead, bytes);
  });

  test(`${name}: a peer that does not read fills the queue, and drains it`, async () => {
    const { end, own, peer, listener } = await started();
    let written = 0;
    let released = 0;
    const chunk = Buffer.alloc(65_536);
    // Until the kernel takes no more: before, a round's writes leave when it ends.
    for (; own.writableLength === 0; await sleep(20)) {
      while (own.writableLength < SOCKET_WRITE_QUEUE_BYTES) {
        const more = end.write(chunk, () => released++);
        assert.equal(more, own.writableLength < SOCKET_WRITE_QUEUE_BYTES);
        written++;
      }
    }
    const drains = listener.count("drain");
    const all = readAll(peer);
    while (released < written) await turn();
    await turn();
    assert.equal(listener.count("drain"), drains + 1);
    end.shutdown();
    assert.equal((await all).bytes, written * chunk.length);
  });

  test(`${name}: a reset does not wait for a peer that reads nothing`, async () => {
    const { end, listener } = await started();
    let held = 0;
    const write = (): boolean => {
      held++;
      return end.write(Buffer.alloc(65_536), () => held--);
    };
    while (write()) await turn();
    end.shutdown();
    end.reset();
    assert.notEqual(await listener.closed, undefined);
    assert.equal(held, 0);
  });

  test(`${name}: a half-close and a reset in one turn close it once`, async () => {
    const { end, peer, listener } = await started();
    peer.on("error", () => undefined).resume();
    end.shutdown();
    end.reset();
    await listener.closed;
    await turn();
    assert.equal(listener.count("closed"), 1);
  });

  test(`${name}: 16 MiB each way at once arrive intact and in order`, async () => {
    const [front, back] = [await pair(), await pair()];
    const outcome = new Promise<RelayOutcome>((resolve) => {
      relay(new SocketEnd(front.own, batcher), new SocketEnd(back.own, batcher), resolve);
    });
    const [there, here] = [readAll(back.peer), readAll(front.peer)];
    const [question, answer] = [randomBytes(16 << 20), randomBytes(16 << 20)];
    front.peer.end(question);
    back.peer.end(answer);
    const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
    assert.equal((await there).hash, sha256(question));
    assert.equal((await here).hash, sha256(answer));
    assert.deepEqual(await outcome, { error: undefined, brokenBy: undefined });
  });
}

test("a stream that was gone before the start is told as closed, once", async () => {
  const { own } = await tcpPair();
  const end = new SocketEnd(own, batcher);
  own.destroy(new Error("gone"));
  await new Promise((resolve) => own.once("close", resolve));
  const listener = new Listener();
  end.start(listener);
  assert.equal((await listener.closed)?.message, "gone");
  end.reset();
  await turn();
  assert.equal(listener.count("closed"), 1);
});

test("the writes of one round leave together, by any Duplex", async () => {
  const rounds: number[] = [];
  const stream = new Duplex({
    read: () => undefined,
    writev(chunks, done) {
      rounds.push(chunks.length);
      done();
    },
  });
  const end = new SocketEnd(stream, batcher);
  const listener = new Listener();
  end.start(listener);
  for (const text of ["one", "two", "three"]) end.write(Buffer.from(text), undefined);
  assert.deepEqual(rounds, []);
  await turn();
  assert.deepEqual(rounds, [3]);
  end.reset();
  assert.match(String(await listener.closed), /connection closed/);
});

test("a Unix socket, which cannot be reset, is closed", async (t) => {
  const path = `\0socket-end-${process.pid}`;
  const server = net.createServer().listen(path);
  t.after(() => server.close());
  await once(server, "listening");
  const own = net.connect(path);
  const [peer] = (await once(server, "connection")) as [net.Socket];
  const listener = new Listener();
  const end = new SocketEnd(own, batcher);
  end.start(listener);
  end.reset();
  await once(peer.resume(), "close");
  assert.match(String(await listener.closed), /connection closed/);
});
