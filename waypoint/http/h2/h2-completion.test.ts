/** How an exchange over HTTP/2 ends that Node's own client began: trailers, who is told what. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import net from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import type { CodecLimits, ServerConnection } from "../engine.ts";
import type { ExchangeError, ServerExchange } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import type { BodyLength } from "../message.ts";
import { wireOf } from "../relay-fixture.ts";
import { http2Codec } from "./h2-codec.ts";

const LIMITS: CodecLimits = {
  headerBytes: 16_384,
  headerCount: 50,
  headersTimeoutMs: 5_000,
  idleTimeoutMs: 60_000,
  bodyTimeoutMs: 60_000,
  requestsPerConnection: 1_000,
  pipelinedRequests: 10,
  concurrentStreams: 100,
};
const LENGTH: BodyLength = { kind: "known", bytes: 3 };
const BODY = Buffer.from("abc");

let server: net.Server;
let session: ClientHttp2Session;
let connection: ServerConnection;
let onExchange: (exchange: ServerExchange) => void;

beforeEach(async () => {
  server = net.createServer((socket) => {
    const handlers = {
      onExchange: (exchange: ServerExchange) => onExchange(exchange),
      onClosed: () => undefined,
    };
    connection = http2Codec.serve(wireOf(socket), LIMITS, handlers);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  session = http2.connect(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`);
});

afterEach(async () => {
  session.destroy();
  await once(server.close(), "close");
});

/** Answers with a body of known length; resolves with what the server's end is told at last. */
function answer(headers: HeaderList, trailers?: HeaderList) {
  const closed = Promise.withResolvers<ExchangeError | undefined>();
  onExchange = (served) => {
    served.start({
      onData: () => true,
      onEnd: () => undefined,
      onDrain: () => undefined,
      onClosed: closed.resolve,
    });
    served.respond({ status: 200, headers }, LENGTH);
    served.write(BODY);
    served.end(trailers);
  };
  return { closed: closed.promise };
}

async function trailersOf(stream: ClientHttp2Stream): Promise<http2.IncomingHttpHeaders> {
  const trailers = once(stream, "trailers");
  stream.resume();
  return (await trailers)[0] as http2.IncomingHttpHeaders;
}

test("an answer that has left at once is complete at the server, too", async () => {
  const { closed } = answer(new HeaderList());
  const stream = session.request({ ":path": "/" });
  await once(stream.resume(), "close");
  assert.equal(await closed, undefined);
});

test("gRPC's trailers come behind a body of known length", async () => {
  const grpc = new HeaderList(["content-type", "application/grpc+proto"]);
  const { closed } = answer(grpc, new HeaderList(["grpc-status", "0"]));
  const trailers = await trailersOf(session.request({ ":path": "/", ":method": "POST" }).end(BODY));
  assert.equal(trailers["grpc-status"], "0");
  assert.equal(await closed, undefined);
});

test("trailers that the head announces come behind a body of known length", async () => {
  answer(new HeaderList(["trailer", "x-sum"]), new HeaderList(["x-sum", "3"]));
  const trailers = await trailersOf(session.request({ ":path": "/" }));
  assert.equal(trailers["x-sum"], "3");
});

test("an answer is not complete whose connection is gone before it has left", async () => {
  const closed = Promise.withResolvers<ExchangeError | undefined>();
  onExchange = (served) => {
    served.start({
      onData: () => true,
      onEnd: () => connection.destroy(),
      onDrain: () => undefined,
      onClosed: closed.resolve,
    });
    const bytes = 8_000_000;
    served.respond({ status: 200, headers: new HeaderList() }, { kind: "known", bytes });
    served.write(Buffer.alloc(bytes));
    served.end();
  };
  session.on("error", () => undefined);
  session.request({ ":path": "/" }).on("error", () => undefined);
  assert.equal((await closed.promise)?.code, "reset");
});
