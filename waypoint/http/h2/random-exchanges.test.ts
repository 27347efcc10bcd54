/**
 * Our client against our server, many exchanges at a time that go on, wait, stop and break off at
 * random: whatever becomes of one, it ends once on each side, and no byte of another gets into it.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import type { UpstreamConnection } from "../engine.ts";
import type { ClientExchange, ServerExchange } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import type { BodyLength } from "../message.ts";
import { RELAY_LIMITS, wireOf } from "../relay-fixture.ts";
import { http2Codec } from "./h2-codec.ts";

const EXCHANGES = 600;
const AT_A_TIME = 60;
const LONGEST_BODY = 400_000;
const LONGEST_CHUNK = 40_000;

/** The same numbers for the same seed (Park and Miller's generator). */
let state = Number(process.env.SEED ?? 20_261_121);
function random(): number {
  state = (state * 48_271) % 0x7fff_ffff;
  return state / 0x7fff_ffff;
}

const below = (most: number): number => Math.floor(random() * most);
const later = (what: () => void): void => void setTimeout(what, below(20));

const PATTERN = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 251));

/** What stands at a place of a body. */
function bytesOf(exchange: number, at: number, length: number): Buffer {
  const from = (exchange * 31 + at) % 251;
  return PATTERN.subarray(from, from + length);
}

/** Writes a body as fast as it is taken; to be called again when there is room. */
function writer(exchange: ServerExchange | ClientExchange, id: number, length: number): () => void {
  let at = 0;
  let ended = false;
  return () => {
    while (at < length) {
      const chunk = bytesOf(id, at, Math.min(length - at, 1 + below(LONGEST_CHUNK)));
      at += chunk.length;
      if (!exchange.write(chunk)) return;
    }
    if (ended) return;
    ended = true;
    exchange.end(random() < 0.5 ? new HeaderList(["x-sum", String(length)]) : undefined);
  };
}

/** One side of one exchange: what it gets is as it was sent, and it ends once. */
class Side {
  got = 0;
  ended = false;
  closed = false;
  readonly #id: number;
  readonly #resume: () => void;

  constructor(id: number, resume: () => void) {
    this.#id = id;
    this.#resume = resume;
  }

  data(chunk: Uint8Array): boolean {
    assert.ok(!this.closed && !this.ended, "bytes behind the end");
    const expected = bytesOf(this.#id, this.got, chunk.length);
    assert.ok(expected.equals(chunk), `exchange ${this.#id} differs from byte ${this.got} on`);
    this.got += chunk.length;
    if (random() > 0.2) return true;
    later(this.#resume);
    return false;
  }

  close(): void {
    assert.equal(this.closed, false, "closed twice");
    this.closed = true;
  }
}

function serve(exchange: ServerExchange, sides: Side[]): void {
  const { headers } = exchange.request;
  const [id, length] = [Number(headers.get("x-id")), Number(headers.get("x-length"))];
  const side = new Side(id, () => exchange.resume());
  sides.push(side);
  const write = writer(exchange, id, length);
  const early = random() < 0.1;
  const respond = (): void => {
    const known: BodyLength = { kind: "known", bytes: length };
    const head = { status: 200, headers: new HeaderList(["x-id", String(id)]) };
    exchange.respond(head, random() < 0.5 ? known : { kind: "unknown" });
    write();
  };
  const start = (): void =>
    exchange.start({
      onData: (chunk) => side.data(chunk),
      onEnd: () => {
        side.ended = true;
        if (!early) respond();
      },
      onDrain: write,
      onClosed: () => side.close(),
    });
  if (random() < 0.2) later(start);
  else start();
  if (early) respond();
  if (random() < 0.03) later(() => exchange.reset());
}

/** Resolves with whether the answer came whole. */
function ask(connection: UpstreamConnection, id: number, sides: Side[]): Promise<boolean> {
  const [up, down] = [below(LONGEST_BODY * random()), below(LONGEST_BODY * random())];
  const known: BodyLength = random() < 0.5 ? { kind: "known", bytes: up } : { kind: "unknown" };
  const headers = new HeaderList(["x-id", String(id), "x-length", String(down)]);
  const fields = { version: "2", method: "POST", scheme: "http", authority: "a" } as const;
  return new Promise((resolve) => {
    const side = new Side(id, () => exchange.resume());
    sides.push(side);
    const length = up === 0 ? ({ kind: "none" } as const) : known;
    const exchange: ClientExchange = connection.request({ ...fields, path: "/", headers }, length, {
      onInformation: () => undefined,
      onHead: (head) => assert.equal(head.headers.get("x-id"), String(id)),
      onData: (chunk) => side.data(chunk),
      onEnd: () => {
        side.ended = true;
        assert.equal(side.got, down);
      },
      onDrain: () => write(),
      onClosed: () => {
        side.close();
        resolve(side.ended);
      },
    });
    const write = writer(exchange, id, up);
    if (up > 0) write();
    if (random() < 0.05) later(() => exchange.cancel());
  });
}

async function connect(port: number): Promise<UpstreamConnection> {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  await once(socket, "connect");
  const handlers = { onIdle: () => undefined, onClosed: () => undefined };
  return http2Codec.connect(wireOf(socket), RELAY_LIMITS, handlers);
}

test(`exchanges at random, seed ${state}, end once and keep to themselves`, async () => {
  const atServer: Side[] = [];
  const atClient: Side[] = [];
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const onExchange = (exchange: ServerExchange): void => serve(exchange, atServer);
    http2Codec.serve(wireOf(socket), RELAY_LIMITS, { onExchange, onClosed: () => undefined });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const connections = await Promise.all([connect(port), connect(port), connect(port)]);
  const all = [...connections];
  let next = 0;
  let whole = 0;
  const worker = async (): Promise<void> => {
    while (next < EXCHANGES) {
      const at = below(connections.length);
      if (random() < 0.01) {
        connections[at]?.close();
        // Another may do the same meanwhile: neither may be lost.
        const fresh = await connect(port);
        all.push(fresh);
        connections[at] = fresh;
      }
      const connection = connections[at] ?? assert.fail();
      if (await ask(connection, next++, atClient)) whole++;
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  assert.ok(whole > EXCHANGES * 0.7, `${whole} answers came whole`);
  for (const { active } of all) assert.equal(active, 0);
  for (const connection of all) connection.close();
  server.close();
  await once(server, "close");
  for (const { closed } of [...atServer, ...atClient]) assert.ok(closed, "an exchange never ended");
});
