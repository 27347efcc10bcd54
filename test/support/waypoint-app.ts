/**
 * What runs in the pods behind a waypoint: every protocol that a waypoint carries, on ports of its
 * own. Run as `node waypoint-app.ts NAME`.
 *
 * | port | speaks |
 * |---|---|
 * | 8080 | HTTP/1.1: what came; /status/N /flaky/KEY/N /slow/MS /die /count /fails/POD /large/MIB |
 * | 8080 | WebSocket: what came; /push sends messages and pings of its own, too |
 * | 8082 | HTTP/2 with prior knowledge: says what it was asked |
 * | 8083 | gRPC, service test.Echo: Once and Stream send back what they get |
 * | 8443 | HTTPS, where TLS_KEY and TLS_CERT are in the environment: says what it was asked |
 * | 9000 | TCP: greets first, then sends back what it gets |
 */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import { Readable } from "node:stream";
import * as grpc from "@grpc/grpc-js";
import { WebSocketServer } from "ws";
import { ECHO_SERVICE } from "./waypoint-echo.ts";

/** Between what it sends by itself. */
const PUSH_MS = 1_000;
const name = process.argv[2] ?? "app";
/** By key: how many requests to /flaky have come. */
const attempts = new Map<string, number>();
/** What came to /count, shadows of others among it. */
let counted = 0;

const server = http.createServer((request, response) => {
  const [, kind = "", first = "", second = ""] = (request.url ?? "").split(/[/?]/);
  if (kind === "status") return void response.writeHead(Number(first)).end(`${name}\n`);
  if (kind === "flaky") return flaky(first, Number(second), response);
  if (kind === "slow") return void setTimeout(() => answer(request, response), Number(first));
  if (kind === "fails") return void response.writeHead(first === name ? 503 : 200).end(name);
  if (kind === "die") return die(response);
  if (kind === "large") return void Readable.from(mebibytes(Number(first))).pipe(response);
  if (kind === "count") return void response.end(String(first === "read" ? counted : ++counted));
  answer(request, response);
});

function flaky(key: string, failures: number, response: ServerResponse): void {
  const attempt = (attempts.get(key) ?? 0) + 1;
  attempts.set(key, attempt);
  response.writeHead(attempt <= failures ? 503 : 200).end(`attempt ${attempt}\n`);
}

function* mebibytes(count: number): Generator<Buffer> {
  const mebibyte = Buffer.alloc(1024 * 1024);
  for (let i = 0; i < count; i++) yield mebibyte;
}

function die(response: ServerResponse): void {
  response.writeHead(200, { "content-length": "1000" });
  response.write("half");
  setTimeout(() => response.destroy(), 20);
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  let bytes = 0;
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on("end", () => {
    const { method, url, headers, httpVersion } = request;
    const peer = request.socket.remoteAddress ?? "";
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ name, method, url, headers, httpVersion, bytes, peer }));
  });
}

const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket, request) => {
  socket.send(`hello from ${name} for ${request.url}`);
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  if (!request.url?.startsWith("/push")) return;
  const timer = setInterval(() => {
    socket.ping();
    socket.send(`pushed by ${name}`);
  }, PUSH_MS);
  socket.on("close", () => clearInterval(timer));
});
server.listen(8080, "::");

const h2 = http2.createServer((request, response) => {
  const { method, url, headers } = request;
  response.end(JSON.stringify({ name, method, url, headers, httpVersion: "2.0" }));
});
h2.listen(8082, "::");

const { TLS_KEY: key, TLS_CERT: cert } = process.env;
if (key !== undefined && cert !== undefined) {
  https.createServer({ key, cert }, answer).listen(8443, "::");
}

const rpc = new grpc.Server();
rpc.addService(ECHO_SERVICE, {
  Once: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>): void => {
    const trailers = new grpc.Metadata();
    trailers.set("served-by", name);
    done(null, call.request, trailers);
  },
  Stream: (call: grpc.ServerDuplexStream<Buffer, Buffer>): void => {
    call.on("data", (message: Buffer) => {
      if (!call.write(message)) {
        call.pause();
        call.once("drain", () => call.resume());
      }
    });
    call.on("end", () => call.end());
    call.on("error", () => undefined);
  },
});
rpc.bindAsync("[::]:8083", grpc.ServerCredentials.createInsecure(), () => undefined);

net
  .createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write(`greetings from ${name}\n`);
    socket.pipe(socket);
  })
  .listen(9000, "::");
