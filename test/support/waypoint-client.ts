/**
 * What runs in the client pod where curl does not do: `node waypoint-client.ts COMMAND ...` prints
 * one line of JSON.
 *
 *     grpc HOST:PORT MESSAGES     streams that many messages both ways, and makes one unary call
 *     websocket URL MESSAGES      sends that many, one after the answer to the one before
 *     chat URL SECONDS            a WebSocket for so long: ten messages and pings a second
 *     dribble HOST:PORT WHAT ...  see slow-client.ts
 *     load URL SECONDS RATE       that many requests a second, each on a connection of the pool
 */
import { once } from "node:events";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import WebSocket from "ws";
import { dribble } from "./slow-client.ts";
import { ECHO_SERVICE } from "./waypoint-echo.ts";

/** What was sent last is answered by then. */
const ANSWERED_MS = 30_000;
const [, , command = "", target = "", ...rest] = process.argv;
const numbers = rest.map(Number);
const COMMANDS: Readonly<Record<string, () => Promise<object>>> = {
  grpc: () => callGrpc(target, numbers[0] ?? 1),
  chat: () => chat(target, numbers[0] ?? 1),
  dribble: () => dribble(target, rest),
  websocket: () => talk(target, numbers[0] ?? 1),
  load: () => load(target, numbers[0] ?? 1, numbers[1] ?? 10),
};
const result = await COMMANDS[command]?.();
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));

async function callGrpc(address: string, messages: number): Promise<object> {
  const Client = grpc.makeGenericClientConstructor(ECHO_SERVICE, "Echo");
  const client = new Client(address, grpc.credentials.createInsecure());
  const unary = await callOnce(client);
  return { unary, ...(await streamMessages(client, messages)) };
}

function callOnce(client: grpc.Client): Promise<object> {
  const { path, requestSerialize, responseDeserialize } = ECHO_SERVICE.Once;
  return new Promise((resolve) => {
    let reply: string | undefined;
    const call = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      Buffer.from("once"),
      (_error: grpc.ServiceError | null, given?: Buffer) => {
        reply = given?.toString();
      },
    );
    call.on("status", ({ code, metadata }) => {
      setImmediate(() => resolve({ reply, code, trailers: metadata.getMap()["served-by"] }));
    });
  });
}

async function streamMessages(client: grpc.Client, messages: number): Promise<object> {
  const { path, requestSerialize, responseDeserialize } = ECHO_SERVICE.Stream;
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  let received = 0;
  let inOrder = true;
  stream.on("data", (message: Buffer) => {
    inOrder &&= message.readUInt32BE() === received;
    received++;
  });
  const status = new Promise<grpc.StatusObject>((resolve) => stream.on("status", resolve));
  stream.on("error", () => undefined);
  for (let i = 0; i < messages; i++) {
    const message = Buffer.alloc(100);
    message.writeUInt32BE(i);
    if (!stream.write(message)) await Promise.race([once(stream, "drain"), status]);
  }
  stream.end();
  const { code, details } = await status;
  return { received, inOrder, code, details };
}

async function talk(url: string, messages: number): Promise<object> {
  const socket = new WebSocket(url);
  const [greeting] = await once(socket, "message");
  let echoed = 0;
  for (let i = 0; i < messages; i++) {
    socket.send(`message ${i}`);
    const [answer] = await once(socket, "message");
    if (String(answer) === `message ${i}`) echoed++;
  }
  socket.close(1000, "done");
  const [code] = await once(socket, "close");
  return { greeting: String(greeting), echoed, code };
}

/** What is sent both ways for so long, and whether all of it came, in order. */
async function chat(url: string, seconds: number): Promise<object> {
  const socket = new WebSocket(url);
  const [greeting] = await once(socket, "message");
  const seen = { messages: 0, outOfOrder: 0, pongs: 0, pings: 0, pushed: 0 };
  socket.on("message", (data: Buffer) => {
    if (String(data).startsWith("pushed ")) seen.pushed++;
    else if (String(data) === `message ${seen.messages}`) seen.messages++;
    else seen.outOfOrder++;
  });
  socket.on("pong", () => seen.pongs++);
  socket.on("ping", () => seen.pings++);
  const closed = once(socket, "close");
  let sent = 0;
  const timer = setInterval(() => {
    socket.send(`message ${sent++}`);
    socket.ping();
  }, 100);
  const ended = await Promise.race([closed, sleep(seconds * 1_000)]);
  clearInterval(timer);
  const late = performance.now() + ANSWERED_MS;
  const isAnswered = () => seen.messages >= sent && seen.pongs >= sent;
  while (!isAnswered() && socket.readyState === WebSocket.OPEN && performance.now() < late) {
    await sleep(10);
  }
  if (ended === undefined) socket.close(1000, "done");
  const [code] = await closed;
  return { greeting: String(greeting), sent, ...seen, early: ended !== undefined, code };
}

/** Statuses, and errors by their code. */
async function load(url: string, seconds: number, rate: number): Promise<object> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  const outcomes = new Map<string, number>();
  const until = performance.now() + seconds * 1_000;
  const pending = new Set<Promise<void>>();
  while (performance.now() < until) {
    const call = request(url, agent).then((outcome) => {
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      pending.delete(call);
    });
    pending.add(call);
    await new Promise((resolve) => setTimeout(resolve, 1_000 / rate));
  }
  await Promise.all(pending);
  return Object.fromEntries(outcomes);
}

function request(url: string, agent: http.Agent): Promise<string> {
  return new Promise((resolve) => {
    const call = http.get(url, { agent }, (response) => {
      response.resume();
      response.once("end", () => resolve(String(response.statusCode)));
      response.once("error", (error) => resolve(error.message));
    });
    call.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    call.setTimeout(30_000, () => call.destroy(new Error("timeout")));
  });
}
