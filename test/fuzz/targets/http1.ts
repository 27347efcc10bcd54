/** What a client or an upstream sends to the HTTP/1.1 engine. */
import assert from "node:assert/strict";
import { SMUGGLING_CORPUS } from "#test/codec-suite/smuggling-corpus.ts";
import type { Wire } from "#waypoint/http/engine.ts";
import type { ServerExchange } from "#waypoint/http/exchange.ts";
import { llhttpForwarder } from "#waypoint/http/h1/h1-codec.ts";
import { HeaderList } from "#waypoint/http/header-list.ts";
import type { BodyLength, RequestHead } from "#waypoint/http/message.ts";
import { RELAY_LIMITS } from "#waypoint/http/relay-fixture.ts";
import type { FuzzTarget } from "../fuzz-target.ts";
import { MemoryEnd } from "./memory-end.ts";

const LIMITS = { ...RELAY_LIMITS, headerBytes: 4_096, headerCount: 40 };
const WORDS = [
  ...["\r\n", "\r\n\r\n", "\n", "\r", " ", "\t", ":", "\0", "0\r\n\r\n", "5\r\nhello\r\n"],
  ...["GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "HTTP/1.0", "Host: a\r\n", "http://a/"],
  ...["Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n", "Connection: close\r\n"],
  ...["Connection: upgrade\r\nUpgrade: websocket\r\n", "Expect: 100-continue\r\n", "TE: trailers"],
  ...["HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 204 \r\n", ";a=b"],
];

interface Seen {
  readonly head: RequestHead;
  readonly length: BodyLength;
  body: string;
  trailers?: readonly string[] | undefined;
  ended: boolean;
}

interface Served {
  readonly seen: readonly Seen[];
  readonly refused: boolean;
}

const engine = llhttpForwarder();

function wireOf(end: MemoryEnd): Wire {
  return { asEnd: () => end, asDuplex: () => assert.fail("this engine works on ends") };
}

function serve(pieces: Iterable<Uint8Array>, limits = LIMITS): Served {
  const end = new MemoryEnd();
  const seen: Seen[] = [];
  const connection = engine.serve(wireOf(end), limits, {
    onExchange: (exchange) => seen.push(take(exchange)),
    onClosed: () => undefined,
  });
  for (const piece of pieces) end.feed(piece);
  connection.destroy();
  const answers = Buffer.concat(end.written).toString("latin1");
  return { seen, refused: /^HTTP\/1\.1 4/m.test(answers) };
}

function take(exchange: ServerExchange): Seen {
  const { request: head, body: length } = exchange;
  const seen: Seen = { head, length, body: "", ended: false };
  const respond = (): void =>
    exchange.respond({ status: 200, headers: new HeaderList() }, { kind: "none" });
  exchange.start({
    onData: (chunk) => {
      seen.body += Buffer.from(chunk).toString("latin1");
      return true;
    },
    onEnd: (trailers) => {
      seen.ended = true;
      seen.trailers = trailers?.flat;
      respond();
    },
    onDrain: () => undefined,
    onClosed: () => undefined,
  });
  if (head.upgrade !== undefined) respond();
  return seen;
}

function* bytesOf(input: Buffer, step: number): Generator<Uint8Array> {
  for (let at = 0; at < input.length; at += step) yield input.subarray(at, at + step);
}

/** What the engine sends an upstream for this request. */
function forwarded({ head, length, body, trailers }: Seen): Buffer {
  const end = new MemoryEnd();
  const connection = engine.connect(wireOf(end), LIMITS, {
    onIdle: () => undefined,
    onClosed: () => undefined,
  });
  const nothing = (): undefined => undefined;
  const exchange = connection.request(head, length, {
    onInformation: nothing,
    onHead: nothing,
    onData: () => true,
    onEnd: nothing,
    onDrain: nothing,
    onClosed: nothing,
  });
  if (body !== "") exchange.write(Buffer.from(body, "latin1"));
  exchange.end(trailers === undefined ? undefined : new HeaderList([...trailers]));
  connection.destroy();
  return Buffer.concat(end.written);
}

/** One request that was taken is one request for the upstream, and the same. */
function checkForwarded(first: Seen): void {
  // It may be longer: a space behind each colon.
  const { seen, refused } = serve([forwarded(first)], RELAY_LIMITS);
  assert.equal(refused, false, "what we send, we would take");
  assert.equal(seen.length, 1, "one request became another number of them");
  const [second] = seen;
  assert.ok(second?.ended);
  assert.equal(second.body, first.body);
  assert.deepEqual(second.trailers, first.trailers);
  const { version: _, ...head } = first.head;
  assert.deepEqual(
    { ...second.head, version: undefined },
    { ...head, version: undefined },
    "what the upstream sees is not what was taken",
  );
}

export const http1Server: FuzzTarget = {
  name: "http1-server",
  corpus: SMUGGLING_CORPUS.filter(({ bytes }) => bytes.length < 4_000).map(({ bytes }) =>
    Buffer.from(bytes, "latin1"),
  ),
  words: WORDS,
  maxBytes: 6_000,
  check: (input) => {
    const whole = serve([input]);
    for (const step of [1, 7]) {
      const pieces = serve(bytesOf(input, step));
      assert.deepEqual(pieces, whole, `in pieces of ${step} it means something else`);
    }
    for (const seen of whole.seen) if (seen.ended) checkForwarded(seen);
    const complete = whole.seen.filter(({ ended }) => ended).length;
    return `${complete} of ${whole.seen.length}${whole.refused ? " refused" : ""}`;
  },
};

interface Answer {
  readonly events: string[];
  body: string;
}

const ASKED: RequestHead = {
  version: "1.1",
  method: "GET",
  scheme: "http",
  authority: "a",
  path: "/",
  headers: new HeaderList(),
  upgrade: "websocket",
};

function answer(pieces: Iterable<Uint8Array>): Answer {
  const end = new MemoryEnd();
  const result: Answer = { events: [], body: "" };
  const connection = engine.connect(wireOf(end), LIMITS, {
    onIdle: () => undefined,
    onClosed: () => undefined,
  });
  let over = false;
  const note = (event: string): void => {
    assert.equal(over, false, `${event} after the end`);
    result.events.push(event);
  };
  connection.request(
    ASKED,
    { kind: "none" },
    {
      onInformation: ({ status }) => note(`information ${status}`),
      onHead: ({ status, headers }, length) =>
        note(`head ${status} ${JSON.stringify(headers.flat)} ${JSON.stringify(length)}`),
      onData: (chunk) => {
        assert.equal(over, false);
        result.body += Buffer.from(chunk).toString("latin1");
        return true;
      },
      onEnd: (trailers) => note(`end ${trailers?.flat.join() ?? ""}`),
      onDrain: () => note("drain"),
      onClosed: (error) => {
        // Of a head that is wrong in two ways, which is told first depends on how it comes.
        note(`closed ${error?.code === "limit" ? "protocol" : (error?.code ?? "")}`);
        over = true;
      },
    },
  );
  for (const piece of pieces) end.feed(piece);
  end.feedEnd();
  connection.destroy();
  assert.ok(over, "the exchange never ended");
  return result;
}

export const http1Client: FuzzTarget = {
  name: "http1-client",
  corpus: [
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\na: b\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\nuntil the end",
    "HTTP/1.1 200 \0\r\n\r\n",
    "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nraw",
    "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
  ].map((text) => Buffer.from(text)),
  words: WORDS,
  maxBytes: 6_000,
  check: (input) => {
    const whole = answer([input]);
    for (const step of [1, 5]) {
      assert.deepEqual(answer(bytesOf(input, step)), whole, `in pieces of ${step} it differs`);
    }
    return whole.events.map((event) => event.split(" ")[0]).join(" ");
  },
};
