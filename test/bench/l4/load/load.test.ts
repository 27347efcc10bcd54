import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { IpAddress } from "#common/model/ip.ts";
import { type LoadOptions, type LoadResult, loadArguments } from "./load-messages.ts";

const SERVER = fileURLToPath(new URL("server-main.ts", import.meta.url));
const CLIENT = fileURLToPath(new URL("client-main.ts", import.meta.url));
const LOCALHOST = "127.0.0.1" as IpAddress;

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, LOCALHOST);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function clientArgs(port: number, options: Partial<LoadOptions>): readonly string[] {
  const all: LoadOptions = {
    kind: "max",
    target: { ip: LOCALHOST, port },
    connections: 4,
    bytes: 1024,
    rate: 200,
    warmUpMs: 100,
    measureMs: 400,
    ...options,
  };
  return [CLIENT, ...loadArguments(all)];
}

/** Runs a load to its end; its last line is the result. */
async function load(port: number, options: Partial<LoadOptions>): Promise<LoadResult> {
  const { stdout } = await promisify(execFile)(process.execPath, [...clientArgs(port, options)]);
  const lines = stdout.trim().split("\n");
  assert.deepEqual(JSON.parse(lines[0] ?? ""), { event: "measuring" });
  return JSON.parse(lines.at(-1) ?? "").result;
}

describe("the load programs", () => {
  let port: number;
  let server: ChildProcess;

  before(async () => {
    port = await freePort();
    server = spawn(process.execPath, [SERVER, String(port)], { stdio: "inherit" });
    for (let attempt = 0; attempt < 100; attempt++) {
      const socket = net.connect(port, LOCALHOST);
      const connected = await once(socket, "connect").catch(() => undefined);
      socket.destroy();
      if (connected !== undefined) return;
      await sleep(50);
    }
  });
  after(() => server.kill("SIGKILL"));

  test("a fixed rate sends exactly what is due, and knows every latency", async () => {
    const { requests, errors, latencyMs } = await load(port, { kind: "rate" });
    assert.equal(requests, 80);
    assert.equal(errors, 0);
    assert.ok(latencyMs && latencyMs.p50 > 0 && latencyMs.p50 <= latencyMs.p99);
  });

  test("a closed loop answers as fast as it can", async () => {
    const { requests, errors, elapsedMs } = await load(port, { kind: "max" });
    assert.ok(requests > 100, `only ${requests} requests`);
    assert.equal(errors, 0);
    assert.ok(elapsedMs >= 400);
  });

  test("connections are made, used once and closed", async () => {
    const { requests, errors } = await load(port, { kind: "connect", bytes: 64 });
    assert.ok(requests > 50, `only ${requests} connections`);
    assert.equal(errors, 0);
  });

  test("held connections stay until the input ends", async () => {
    const args = clientArgs(port, { kind: "hold", connections: 200, bytes: 1 });
    const client = spawn(process.execPath, [...args]);
    const [line] = await once(client.stdout, "data");
    assert.equal(JSON.parse(String(line)).event, "measuring");
    await sleep(50);
    assert.equal(client.exitCode, null);
    client.stdin.end();
    const [result] = await once(client.stdout, "data");
    assert.deepEqual(JSON.parse(String(result)).result.errors, 0);
    await once(client, "exit");
    assert.equal(client.exitCode, 0);
  });
});

test("a stall counts in the latency of every request that was due meanwhile", async (t) => {
  const sockets: net.Socket[] = [];
  let stalled = false;
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => socket.destroy());
    socket.on("data", (data) => {
      const delayMs = stalled ? 300 : 0;
      setTimeout(() => socket.write(data), delayMs);
    });
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, LOCALHOST);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const result = load(port, { kind: "rate", connections: 1, rate: 100, measureMs: 1000 });
  await once(server, "connection");
  await sleep(500);
  stalled = true;
  await sleep(1);
  const { latencyMs } = await result;
  // One connection and one stalled answer after another: what is due piles up behind.
  assert.ok(latencyMs && latencyMs.p99 > 500, `p99 is only ${latencyMs?.p99} ms`);
});

test("a refused connection ends the load with the reason", async () => {
  const port = await freePort();
  for (const kind of ["rate", "max", "connect"] as const) {
    const failed = promisify(execFile)(process.execPath, [...clientArgs(port, { kind })]);
    await assert.rejects(failed, { code: 1, stderr: /connection/ });
  }
});

test("a connection that is lost on the way counts as an error", async (t) => {
  const server = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    setTimeout(() => socket.destroy(), 200);
  });
  t.after(() => server.close());
  server.listen(0, LOCALHOST);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  assert.ok((await load(port, { kind: "max" })).errors > 0);
  assert.ok((await load(port, { kind: "rate" })).errors > 0);
});
