import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { ip } from "#common/mesh-state/test-records.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";
import { decode, makeAnswer, makeQuery, records } from "./dns-fixtures.ts";
import { askByUdp, type UdpUpstreamDeps } from "./upstream-udp.ts";

type Respond = (query: Buffer, send: (answer: Buffer) => void, attempt: number) => void;

const sys = createLinuxSyscalls();
const opened: dgram.Socket[] = [];
let unexpected = 0;

afterEach(() => {
  for (const socket of opened.splice(0)) socket.close();
  unexpected = 0;
});

/** A name server on a loopback address; all of a test listen on one port. */
async function serve(address: string, port: number, respond: Respond): Promise<dgram.Socket> {
  const socket = dgram.createSocket("udp4");
  let attempts = 0;
  socket.on("message", (query, { address: from, port: to }) => {
    respond(query, (answer) => socket.send(answer, to, from), ++attempts);
  });
  socket.bind(port, address);
  await once(socket, "listening");
  opened.push(socket);
  return socket;
}

function deps(port: number): UdpUpstreamDeps {
  return {
    openSocket: (family) => {
      const any = ip(family === "ipv4" ? "0.0.0.0" : "::");
      return sys.openUdpSocket({ ip: any, port: 0, reusePort: false, mark: 0 });
    },
    onUnexpected: () => unexpected++,
    port,
  };
}

/** Asks servers on 127.0.0.1, 127.0.0.2 and so on, which behave as given. */
async function ask(query: Buffer, ...behaviours: readonly (Respond | "nobody")[]) {
  const seen: Buffer[][] = behaviours.map(() => []);
  let port = 0;
  const addresses = behaviours.map((_, i) => `127.0.0.${i + 1}`);
  for (const [i, behaviour] of behaviours.entries()) {
    const respond: Respond = (message, ...rest) => {
      seen[i]?.push(Buffer.from(message));
      if (behaviour !== "nobody") behaviour(message, ...rest);
    };
    const socket = await serve(addresses[i] ?? "", port, respond);
    port ||= socket.address().port;
    if (behaviour === "nobody") opened.splice(opened.indexOf(socket), 1)[0]?.close();
  }
  const outcome = await askByUdp(query, addresses.map(ip), deps(port));
  return { outcome, seen };
}

const good: Respond = (query, send) => send(makeAnswer(query, "10.9.9.9"));
const silent: Respond = () => undefined;
const failing: Respond = (query, send) =>
  send(makeAnswer(query, "10.0.0.0", { answers: [], flags: 0x8182 }));

function answerOf(outcome: Buffer | string): Buffer {
  assert.ok(typeof outcome !== "string", String(outcome));
  return outcome;
}

describe("a query to a name server", () => {
  const query = makeQuery({ name: "Example.COM", type: "TXT" });

  test("and its answer pass byte for byte but for the id", async () => {
    let sent = Buffer.alloc(0);
    const { outcome, seen } = await ask(query, (message, send) => {
      // What no parser of ours would make: several kinds of records, bytes behind the end.
      sent = Buffer.concat([makeAnswer(message, "10.9.9.9"), Buffer.from("beyond")]);
      send(sent);
    });
    assert.deepEqual(seen[0]?.[0]?.subarray(2), query.subarray(2));
    assert.deepEqual(answerOf(outcome).subarray(2), sent.subarray(2));
    assert.equal(answerOf(outcome).readUInt16BE(0), 4711);
  });

  test("has another id and another port each time", async () => {
    const ids = new Set<number>();
    const ports = new Set<number>();
    const socket = await serve("127.0.0.1", 0, (message, send) => {
      ids.add(message.readUInt16BE(0));
      good(message, send, 1);
    });
    socket.on("message", (_, { port }) => ports.add(port));
    const { port } = socket.address();
    for (let i = 0; i < 30; i++) await askByUdp(query, [ip("127.0.0.1")], deps(port));
    assert.ok(ids.size > 25, `${ids.size} ids`);
    assert.ok(ports.size > 25, `${ports.size} ports`);
  });

  test("of any kind passes, also one that is none", async () => {
    const update = Buffer.from("12342800000100000000000003777777000006000100ff", "hex");
    const { outcome, seen } = await ask(update, (message, send) => {
      const answer = Buffer.from(message);
      answer.writeUInt16BE(0xa800, 2);
      send(answer);
    });
    assert.deepEqual(seen[0]?.[0]?.subarray(2), update.subarray(2));
    assert.equal(answerOf(outcome).readUInt16BE(2), 0xa800);
  });
});

describe("an answer is not believed", () => {
  const query = makeQuery({ name: "example.com" });
  const wrong: Readonly<Record<string, Respond>> = {
    "with another id": (message, send) => {
      const answer = makeAnswer(message, "6.6.6.6");
      answer.writeUInt16BE((answer.readUInt16BE(0) + 1) & 0xffff, 0);
      send(answer);
    },
    "about another name": (message, send) => {
      const other = makeQuery({ name: "examplf.com", id: message.readUInt16BE(0) });
      send(makeAnswer(other, "6.6.6.6"));
    },
    "about another type": (message, send) => {
      const id = message.readUInt16BE(0);
      send(makeAnswer(makeQuery({ name: "example.com", type: "AAAA", id }), "6.6.6.6"));
    },
    "without a question": (message, send) => {
      send(makeAnswer(message, "6.6.6.6", { questions: [] }));
    },
    "that is the query itself": (message, send) => send(message),
    "that is too short for one": (message, send) => send(message.subarray(0, 11)),
    "that is empty": (_, send) => send(Buffer.alloc(0)),
  };
  for (const [what, respond] of Object.entries(wrong)) {
    test(`${what}; the right one after it is`, async () => {
      const { outcome } = await ask(query, (message, send, attempt) => {
        respond(message, send, attempt);
        good(message, send, attempt);
      });
      assert.deepEqual(records(answerOf(outcome)), ["example.com A 10.9.9.9"]);
      assert.equal(unexpected, 1);
    });
  }

  test("that comes from another port, though all else is right", async () => {
    const stranger = await serve("127.0.0.1", 0, silent);
    const server = await serve("127.0.0.1", 0, silent);
    server.on("message", (message, client) => {
      stranger.send(makeAnswer(message, "6.6.6.6"), client.port, client.address, () =>
        server.send(makeAnswer(message, "10.9.9.9"), client.port, client.address),
      );
    });
    const outcome = await askByUdp(query, [ip("127.0.0.1")], deps(server.address().port));
    assert.deepEqual(records(answerOf(outcome)), ["example.com A 10.9.9.9"]);
  });
});

describe("a name server that does not help", () => {
  const query = makeQuery({ name: "example.com" });

  test("by SERVFAIL, or because nobody listens, is passed over at once", async () => {
    const { outcome, seen } = await ask(query, failing, "nobody", good);
    assert.deepEqual(records(answerOf(outcome)), ["example.com A 10.9.9.9"]);
    assert.deepEqual(
      seen.map((messages) => messages.length),
      [1, 0, 1],
    );
  });

  test("by silence is asked beside the next one, and may still answer", async () => {
    let late: (() => void) | undefined;
    const { outcome } = await ask(
      query,
      (message, send) => {
        late ??= () => good(message, send, 1);
      },
      () => late?.(),
    );
    assert.deepEqual(records(answerOf(outcome)), ["example.com A 10.9.9.9"]);
  });

  test("by a lost packet is asked again where it is the only one", async () => {
    const { outcome, seen } = await ask(query, (message, send, attempt) => {
      if (attempt === 2) good(message, send, attempt);
    });
    assert.deepEqual(records(answerOf(outcome)), ["example.com A 10.9.9.9"]);
    assert.equal(seen[0]?.length, 2);
  });

  test("is quoted where no other does better", async () => {
    const { outcome } = await ask(query, failing, "nobody");
    const answer = decode(answerOf(outcome));
    assert.equal(answer.rcode, "SERVFAIL");
    assert.equal(answer.id, 4711);
  });

  test("is not asked twice for what may not be harmless to repeat", async () => {
    const update = Buffer.from(query);
    update.writeUInt16BE(5 << 11, 2);
    const { outcome, seen } = await ask(update, silent, good);
    assert.equal(outcome, "no-answer");
    assert.deepEqual(
      seen.map((messages) => messages.length),
      [1, 0],
    );
  });

  test("is no answer where there is none at all", async () => {
    assert.equal(await askByUdp(query, [], deps(53)), "no-answer");
    const { outcome } = await ask(query, "nobody");
    assert.equal(outcome, "no-answer");
  });
});

test("a query that is given up leaves no socket behind", async () => {
  const socket = await serve("127.0.0.1", 0, silent);
  const stop = new AbortController();
  const asked = once(socket, "message");
  const query = makeQuery({ name: "example.com" });
  const outcome = askByUdp(query, [ip("127.0.0.1")], deps(socket.address().port), stop.signal);
  await asked;
  stop.abort();
  assert.equal(await outcome, "no-answer");
  const sockets = () => process.getActiveResourcesInfo().filter((name) => name === "UDPWrap");
  for (let turns = 0; turns < 100 && sockets().length > 1; turns++) await setImmediate();
  assert.equal(sockets().length, 1);
});
