/**
 * Our HTTP/2 between those of others: node:http2 and grpc-js on either side of the smallest proxy.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import http2, {
  type ClientHttp2Session,
  type Http2Server,
  type ServerHttp2Stream,
} from "node:http2";
import type net from "node:net";
import { after, before, describe, test } from "node:test";
import {
  type Client,
  credentials,
  makeGenericClientConstructor,
  type requestCallback,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { RelayProxy } from "../relay-fixture.ts";
import { http2Codec } from "./h2-codec.ts";

const asIs = (bytes: Buffer): Buffer => bytes;
const METHOD = {
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
};
const SERVICE = {
  unary: { ...METHOD, path: "/echo.Echo/Unary", requestStream: false, responseStream: false },
  both: { ...METHOD, path: "/echo.Echo/Both", requestStream: true, responseStream: true },
} satisfies ServiceDefinition;

describe("between node:http2 and node:http2", () => {
  const proxy = new RelayProxy(http2Codec);
  let upstream: Http2Server;
  let session: ClientHttp2Session;

  before(async () => {
    upstream = http2.createServer();
    upstream.on("stream", (given, headers) => {
      const stream = given as ServerHttp2Stream;
      stream.on("error", () => undefined);
      if (headers[":path"] === "/reset") {
        stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
        return;
      }
      stream.respond({ ":status": 200, "x-got": headers["x-sent"] }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-end": "1" }));
      stream.pipe(stream);
    });
    await once(upstream.listen(0, "127.0.0.1"), "listening");
    await proxy.listen((upstream.address() as net.AddressInfo).port);
    session = http2.connect(`http://127.0.0.1:${proxy.port}`);
    session.on("error", () => undefined);
  });
  after(() => {
    session.destroy();
    proxy.close();
    upstream.close();
  });

  async function echo(body: Buffer, value: string): Promise<void> {
    const stream = session.request({ ":method": "POST", ":path": "/", "x-sent": value });
    const trailers = once(stream, "trailers");
    const head = once(stream, "response");
    stream.end(body);
    const hash = createHash("sha256");
    for await (const chunk of stream) hash.update(chunk as Buffer);
    assert.equal((await head)[0]["x-got"], value);
    assert.equal((await trailers)[0]["x-end"], "1");
    assert.equal(hash.digest("hex"), createHash("sha256").update(body).digest("hex"));
  }

  test("bodies of all sizes arrive as they were sent, many at a time", async () => {
    const sizes = [0, 1, 9, 8_192, 8_193, 16_384, 16_385, 65_535, 65_536, 300_000, 3_000_000];
    const bodies = sizes.map((size) => randomBytes(size));
    const all = [...bodies, ...bodies, ...bodies];
    await Promise.all(all.map((body, i) => echo(body, `${i} \t ü ${"x".repeat(1 + i * 100)}`)));
  });

  test("a reset of the upstream is one for the client", async () => {
    const stream = session.request({ ":path": "/reset" });
    const answered = once(stream, "response").then(([{ ":status": code }]) => String(code));
    const failed = once(stream, "error").then(() => "reset");
    assert.ok(["502", "reset"].includes(await Promise.race([answered, failed])));
    stream.close();
  });

  test("a client that leaves in the middle takes nobody with it", async () => {
    const other = http2.connect(`http://127.0.0.1:${proxy.port}`);
    other.on("error", () => undefined);
    const stream = other.request({ ":method": "POST", ":path": "/" });
    stream.on("error", () => undefined);
    stream.write(Buffer.alloc(100_000));
    await once(stream, "response");
    other.destroy();
    await echo(randomBytes(100_000), "still");
  });
});

describe("between grpc-js and grpc-js", () => {
  const proxy = new RelayProxy(http2Codec);
  const server = new Server();
  let client: Client;

  before(async () => {
    server.addService(SERVICE, {
      unary: (call: ServerUnaryCall<Buffer, Buffer>, done: requestCallback<Buffer>) => {
        if (call.request.length > 0) done(null, call.request);
        else done({ code: status.NOT_FOUND, details: "nothing" } as ServiceError);
      },
      both: (call: ServerDuplexStream<Buffer, Buffer>) => {
        call.on("data", (message: Buffer) => call.write(message));
        call.on("end", () => call.end());
        call.on("error", () => undefined);
      },
    });
    const bind = Promise.withResolvers<number>();
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) bind.resolve(port);
      else bind.reject(error);
    });
    await proxy.listen(await bind.promise);
    const Echo = makeGenericClientConstructor(SERVICE, "Echo");
    client = new Echo(`127.0.0.1:${proxy.port}`, credentials.createInsecure());
  });
  after(() => {
    client.close();
    server.forceShutdown();
    proxy.close();
  });

  function unary(message: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const { path } = SERVICE.unary;
      client.makeUnaryRequest(path, asIs, asIs, message, (error, answer) => {
        if (error === null) resolve(answer ?? Buffer.alloc(0));
        else reject(error);
      });
    });
  }

  test("calls and their errors arrive", async () => {
    const messages = Array.from({ length: 50 }, (_, i) => randomBytes(1 + i * 1_000));
    assert.deepEqual(await Promise.all(messages.map((message) => unary(message))), messages);
    await assert.rejects(unary(Buffer.alloc(0)), { code: status.NOT_FOUND, details: "nothing" });
  });

  test("streams go both ways, message by message, and end", async () => {
    const { path } = SERVICE.both;
    const call = client.makeBidiStreamRequest(path, asIs, asIs);
    for (let i = 0; i < 20; i++) {
      const message = randomBytes(10 + i * 3_000);
      call.write(message);
      assert.deepEqual((await once(call, "data"))[0], message);
    }
    call.end();
    const [{ code }] = await once(call, "status");
    assert.equal(code, status.OK);
  });

  test("a call that is cancelled takes nobody with it", async () => {
    const { path } = SERVICE.both;
    const call = client.makeBidiStreamRequest(path, asIs, asIs);
    call.on("error", () => undefined);
    call.write(randomBytes(10));
    await once(call, "data");
    const over = new Promise((resolve) => call.on("status", ({ code }) => resolve(code)));
    call.cancel();
    assert.equal(await over, status.CANCELLED);
    assert.equal((await unary(randomBytes(10))).length, 10);
  });
});
