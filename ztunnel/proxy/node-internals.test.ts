import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { acceptHandles, peerOf, type TcpHandle, tcpBinding } from "./node-internals.ts";
import { bestRawTcp, type RawTcp, type RawTcpOwner, socketTcp } from "./raw-tcp.ts";

const READ_BYTES = 1024;
const KINDS = [
  ["a handle", bestRawTcp()],
  ["a socket", socketTcp],
] as const;

/** A listening server, and the next handle that it accepts. */
async function listen(t: TestContext): Promise<{ port: number; handle: Promise<TcpHandle> }> {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const handle = new Promise<TcpHandle>((resolve, reject) => {
    acceptHandles(server, resolve, (status) => reject(new Error(`accept failed with ${status}`)));
  });
  return { port: (server.address() as net.AddressInfo).port, handle };
}

/** Reads into one buffer and remembers what it is told. */
class Recorder implements RawTcpOwner {
  readonly buffer = Buffer.alloc(READ_BYTES);
  readonly told: string[] = [];
  sameMemory = true;
  #waiting: (() => void) | undefined;

  nextBuffer(): Uint8Array {
    return this.buffer;
  }

  onRead(byteCount: number, buffer: Uint8Array): boolean {
    this.sameMemory &&= buffer.buffer === this.buffer.buffer;
    this.#tell(`read ${Buffer.from(buffer.subarray(0, byteCount))}`);
    return true;
  }

  onReadEnd(): void {
    this.#tell("end");
  }

  onWritten(): void {
    this.#tell("written");
  }

  onBroken(error: NodeJS.ErrnoException): void {
    this.#tell(`broken ${error.code}`);
  }

  async until(event: string): Promise<void> {
    while (!this.told.includes(event)) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
  }

  #tell(event: string): void {
    this.told.push(event);
    this.#waiting?.();
  }
}

test("this Node has the handles that the data path was written for", () => {
  assert.notEqual(tcpBinding(), undefined, "connections fall back to sockets, which are slower");
});

for (const [name, kind] of KINDS) {
  test(`${name} reads, once told to, into the buffer that was chosen`, async (t) => {
    const { port, handle } = await listen(t);
    const client = net.connect(port, "127.0.0.1");
    client.end("hello");
    const accepted = await handle;
    assert.deepEqual(peerOf(accepted), { ip: "127.0.0.1", port: client.localPort });
    const recorder = new Recorder();
    const tcp = kind.accepted(accepted, recorder);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(recorder.told, []);
    assert.ok(tcp.descriptor > 2);
    tcp.startReading();
    await recorder.until("end");
    assert.deepEqual(recorder.told, ["read hello", "end"]);
    assert.ok(recorder.sameMemory, "the bytes were read into another buffer than the chosen one");
    tcp.close();
    assert.equal(tcp.descriptor, -1);
    client.destroy();
  });

  test(`${name} tells when more than the kernel takes at once has left`, async (t) => {
    const { port, handle } = await listen(t);
    const client = net.connect(port, "127.0.0.1");
    const recorder = new Recorder();
    const tcp = kind.accepted(await handle, recorder);
    const chunks = Array.from({ length: 16 }, () => Buffer.alloc(1 << 20));
    assert.equal(tcp.write(chunks), "pending");
    client.resume();
    await recorder.until("written");
    tcp.close();
    client.destroy();
  });

  test(`${name} that is closed while a write is pending says nothing more`, async (t) => {
    const { port, handle } = await listen(t);
    const client = net.connect(port, "127.0.0.1");
    const recorder = new Recorder();
    const tcp = kind.accepted(await handle, recorder);
    tcp.startReading();
    assert.equal(tcp.write([Buffer.alloc(16 << 20)]), "pending");
    tcp.close();
    client.resume();
    await Promise.race([once(client, "end"), once(client, "error")]);
    assert.deepEqual(recorder.told, []);
    client.destroy();
  });

  test(`${name} tells of a reset`, async (t) => {
    const { port, handle } = await listen(t);
    const client = net.connect(port, "127.0.0.1");
    const recorder = new Recorder();
    const tcp: RawTcp = kind.accepted(await handle, recorder);
    tcp.startReading();
    client.resetAndDestroy();
    await recorder.until("broken ECONNRESET");
    tcp.close();
  });
}
