/** Connections to a pod's port through a real WebSocket server. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { buffer, text } from "node:stream/consumers";
import { describe, test } from "node:test";
import type { WebSocket } from "ws";
import { openPortForward } from "./port-forward.ts";
import { type StreamServerOptions, startStreamServer } from "./streams-fixture.ts";

const TARGET = { namespace: "istio-system", pod: "ztunnel-x", port: 15000 };

function begin(socket: WebSocket): void {
  const port = Buffer.alloc(2);
  port.writeUInt16LE(TARGET.port);
  for (const channel of [0, 1]) socket.send(Buffer.concat([Buffer.of(channel), port]));
}

/** A pod that answers what `answer` says to all that was sent until then. */
function podThat(answer: (socket: WebSocket, bytes: Buffer) => void): StreamServerOptions {
  return {
    onSocket: (socket) => {
      begin(socket);
      socket.on("message", (data) => {
        const message = data as Buffer;
        assert.equal(message[0], 0);
        answer(socket, message.subarray(1));
      });
    },
  };
}

const data = (bytes: Buffer | string) => Buffer.concat([Buffer.of(0), Buffer.from(bytes)]);
const fault = (words: string) => Buffer.concat([Buffer.of(1), Buffer.from(words)]);

describe("a forwarded port", () => {
  test("carries HTTP both ways, and asks for the port of the pod", async () => {
    const page = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    await using server = await startStreamServer(podThat((socket) => socket.send(data(page))));
    const socket = await openPortForward(server.connection, TARGET);
    const body = await new Promise<string>((resolve, reject) => {
      const asked = request({ path: "/config_dump", createConnection: () => socket }, (response) =>
        resolve(text(response)),
      );
      asked.on("error", reject).end();
    });
    assert.equal(body, "hello");
    assert.deepEqual(server.asked, [
      "/api/v1/namespaces/istio-system/pods/ztunnel-x/portforward?ports=15000",
    ]);
    socket.destroy();
  });

  test("carries more than any buffer holds, whole and in order", async () => {
    const sent = Buffer.alloc(5_000_000, "0123456789abcdef-");
    let seen = 0;
    const echo = podThat((socket, bytes) => {
      socket.send(data(bytes));
      seen += bytes.length;
      if (seen === sent.length) socket.close();
    });
    await using server = await startStreamServer(echo);
    const socket = await openPortForward(server.connection, TARGET);
    socket.end(sent);
    assert.ok((await buffer(socket)).equals(sent));
  });

  test("leaves in the network what its reader does not ask for", async () => {
    let peer: WebSocket | undefined;
    await using server = await startStreamServer({
      onSocket: (socket) => {
        peer = socket;
        begin(socket);
        for (let i = 0; i < 400; i++) socket.send(data(Buffer.alloc(65_536)));
      },
    });
    const socket = await openPortForward(server.connection, TARGET);
    await new Promise<void>((resolve) => socket.once("readable", resolve));
    // The peer's own queue stays full: nobody in between has taken it all.
    assert.ok((peer?.bufferedAmount ?? 0) > 10_000_000);
    assert.ok(socket.readableLength < 1_000_000);
    socket.destroy();
  });

  test("fails with the kubelet's words where nothing listens", async () => {
    await using server = await startStreamServer({
      onSocket: (socket) => {
        begin(socket);
        socket.send(fault("dial tcp4 127.0.0.1:15000: connect: connection refused"));
        socket.close();
      },
    });
    const socket = await openPortForward(server.connection, TARGET);
    await assert.rejects(buffer(socket), (error: { code: string; message: string }) => {
      assert.equal(error.code, "PORT_FORWARD");
      assert.match(error.message, /port 15000 of istio-system\/ztunnel-x: .*connection refused/);
      return true;
    });
  });

  test("fails where the connection is cut, and where the server speaks no WebSocket", async () => {
    await using cutting = await startStreamServer({
      onSocket: (socket) => {
        begin(socket);
        const inner = socket as unknown as {
          _socket: { write(b: Buffer): void; destroySoon(): void };
        };
        inner._socket.write(Buffer.of(0x82, 100, 0, 1, 2));
        inner._socket.destroySoon();
      },
    });
    const socket = await openPortForward(cutting.connection, TARGET);
    await assert.rejects(buffer(socket), { code: "WEBSOCKET_BROKEN" });
    await using plain = await startStreamServer({ onRequest: (_, response) => response.end() });
    const refused = { ...plain.connection, server: new URL(`${plain.connection.server}missing`) };
    await assert.rejects(openPortForward(refused, TARGET), { name: "KubeApiError", status: 403 });
  });
});
