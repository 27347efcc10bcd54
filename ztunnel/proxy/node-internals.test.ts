import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { acceptHandles, adoptHandle, descriptorOf, type TcpHandle } from "./node-internals.ts";

const READ_BYTES = 1024;

test("an accepted handle reads into the buffer that was chosen for it", async () => {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const buffer = Buffer.alloc(READ_BYTES);
  const received = new Promise<{ bytes: string; sameMemory: boolean; fd: number }>((resolve) => {
    acceptHandles(
      server,
      (handle: TcpHandle) => {
        const socket = adoptHandle(handle, {
          nextBuffer: () => buffer,
          onData: (count, from) => {
            const bytes = Buffer.from(from.subarray(0, count)).toString();
            resolve({ bytes, sameMemory: from.buffer === buffer.buffer, fd: descriptorOf(socket) });
            socket.end();
            return true;
          },
          writeHighWaterMark: READ_BYTES,
        });
        socket.resume();
      },
      (status) => assert.fail(`accept failed with ${status}`),
    );
  });
  const client = net.connect(port, "127.0.0.1");
  client.end("hello");
  const { bytes, sameMemory, fd } = await received;
  assert.equal(bytes, "hello");
  assert.ok(sameMemory, "the bytes were read into another buffer than the chosen one");
  assert.ok(fd > 2);
  client.resume();
  await once(client, "close");
  server.close();
});

test("an adopted handle reads nothing before it is resumed", async () => {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  let reads = 0;
  const accepted = new Promise<net.Socket>((resolve) => {
    acceptHandles(
      server,
      (handle) =>
        resolve(
          adoptHandle(handle, {
            nextBuffer: () => Buffer.alloc(READ_BYTES),
            onData: () => {
              reads++;
              return true;
            },
            writeHighWaterMark: READ_BYTES,
          }),
        ),
      () => undefined,
    );
  });
  const client = net.connect(port, "127.0.0.1");
  client.write("early");
  const socket = await accepted;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(reads, 0);
  socket.resume();
  while (reads === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  socket.destroy();
  client.destroy();
  server.close();
});
