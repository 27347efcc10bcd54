/** Our requests to an upstream that answers frame by frame, as it should and as it must not. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import {
  END_HEADERS,
  END_STREAM,
  frame,
  headerBlock,
  number32,
  TYPE,
} from "#test/support/h2-frames.ts";
import type { UpstreamConnection } from "../engine.ts";
import type { ExchangeError } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import type { BodyLength, RequestHead } from "../message.ts";
import { NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM } from "./frames.ts";
import { type RawPeer, settings } from "./raw-peer-fixture.ts";
import { RawUpstream } from "./raw-upstream-fixture.ts";

const NONE: BodyLength = { kind: "none" };
const UNKNOWN: BodyLength = { kind: "unknown" };

describe("an upstream's connection", () => {
  let raw: RawUpstream;
  let upstream: UpstreamConnection;
  let peer: RawPeer;
  beforeEach(async () => {
    raw = await RawUpstream.open(settings());
    upstream = raw.connection;
    peer = raw.peer;
  });
  afterEach(() => raw.close());

  interface Outcome {
    statuses: number[];
    body: string;
    ended: boolean;
    sent: boolean;
    error: ExchangeError | undefined;
  }

  const outcomes: Outcome[] = [];

  /** Resolves when the exchange is over. */
  function request(length = NONE, method = "GET", body?: string): Promise<Outcome> {
    const head: RequestHead = {
      ...{ version: "2", method, scheme: "http", authority: "a", path: "/" },
      headers: new HeaderList(),
    };
    const outcome: Outcome = { statuses: [], body: "", ended: false, sent: true, error: undefined };
    outcomes.push(outcome);
    return new Promise((resolve) => {
      const exchange = upstream.request(head, length, {
        onInformation: ({ status }) => outcome.statuses.push(status),
        onHead: ({ status }) => outcome.statuses.push(status),
        onData: (chunk) => {
          outcome.body += Buffer.from(chunk).toString();
          return true;
        },
        onEnd: () => {
          outcome.ended = true;
        },
        onDrain: () => undefined,
        onClosed: (error) => resolve(Object.assign(outcome, { error, sent: exchange.sent })),
      });
      if (body !== undefined) exchange.write(Buffer.from(body));
      if (length.kind !== "none") exchange.end();
    });
  }

  const head = (stream: number, flags: number, ...fields: readonly (readonly [string, string])[]) =>
    frame(TYPE.headers, END_HEADERS | flags, stream, headerBlock([[":status", "200"], ...fields]));
  const data = (stream: number, flags: number, text: string) =>
    frame(TYPE.data, flags, stream, Buffer.from(text));
  const came = (stream: number) => peer.until(() => peer.of(TYPE.headers, stream).length === 1);

  test("has not sent what is above the last stream of a GOAWAY; the rest is served", async () => {
    const [first, second] = [request(), request()];
    await came(3);
    const last = Buffer.concat([number32(1), number32(0)]);
    peer.send(frame(TYPE.goaway, 0, 0, last));
    assert.deepEqual([(await second).error?.code, (await second).sent], ["not-sent", false]);
    assert.equal(upstream.exhausted, true);
    assert.equal((await request()).error?.code, "not-sent");
    peer.send(head(1, 0), data(1, END_STREAM, "ok"));
    assert.deepEqual([(await first).body, (await first).error], ["ok", undefined]);
    await peer.until(() => peer.closed);
  });

  test("has not sent what the upstream refused", async () => {
    const answer = request();
    await came(1);
    peer.send(frame(TYPE.resetStream, 0, 1, number32(REFUSED_STREAM)));
    assert.deepEqual([(await answer).error?.code, (await answer).sent], ["not-sent", false]);
    assert.equal(upstream.exhausted, false);
  });

  test("keeps requests back that the upstream has no room for", async () => {
    peer.send(settings([3, 1]));
    await peer.until(() => upstream.capacity === 1);
    const answers = [request(), request(UNKNOWN, "POST", "body")];
    await came(1);
    await peer.settled();
    assert.equal(peer.of(TYPE.headers).length, 1);
    assert.equal(upstream.active, 2);
    peer.send(head(1, END_STREAM));
    await came(3);
    peer.send(head(3, END_STREAM));
    for (const answer of answers) assert.equal((await answer).error, undefined);
    assert.equal(String(peer.of(TYPE.data, 3)[0]?.payload), "body");
    assert.equal(upstream.active, 0);
  });

  test("has had an answer that came whole before the upstream refused the rest", async () => {
    const answer = request(UNKNOWN, "POST", "x".repeat(100_000));
    await came(1);
    peer.send(head(1, 0), data(1, END_STREAM, "no"));
    peer.send(frame(TYPE.resetStream, 0, 1, number32(NO_ERROR)));
    assert.deepEqual([(await answer).body, (await answer).ended], ["no", true]);
  });

  const BAD: Readonly<Record<string, () => readonly Buffer[]>> = {
    "DATA before a head": () => [data(1, 0, "x")],
    "no status": () => [frame(TYPE.headers, END_HEADERS, 1, headerBlock([["a", "b"]]))],
    "two statuses": () => [head(1, 0, [":status", "200"])],
    "a status of HTTP/1.1 only": () => [
      frame(TYPE.headers, END_HEADERS, 1, headerBlock([[":status", "101"]])),
    ],
    "the pseudo-header of a request": () => [head(1, 0, [":path", "/"])],
    "transfer-encoding": () => [head(1, 0, ["transfer-encoding", "chunked"])],
    "a body longer than said": () => [head(1, 0, ["content-length", "1"]), data(1, 1, "xy")],
    "a body shorter than said": () => [head(1, 0, ["content-length", "3"]), data(1, 1, "xy")],
    "no body where one was said": () => [head(1, END_STREAM, ["content-length", "3"])],
    "an informational response that ends": () => [
      frame(TYPE.headers, END_HEADERS | END_STREAM, 1, headerBlock([[":status", "103"]])),
    ],
    "a second head": () => [head(1, 0), head(1, 0)],
  };
  for (const [name, frames] of Object.entries(BAD)) {
    test(`takes ${name} for no answer, and goes on`, async () => {
      const answer = request();
      await came(1);
      peer.send(...frames());
      assert.equal((await answer).error?.code, "protocol");
      assert.equal(await peer.reset(1), PROTOCOL_ERROR);
      const next = request();
      await came(3);
      peer.send(head(3, END_STREAM));
      assert.equal((await next).error, undefined);
    });
  }

  test("takes a length for no body's where there is none: HEAD, 204, 304", async () => {
    const answers = [request(NONE, "HEAD"), request(), request()];
    await came(5);
    const fields = [["content-length", "5"]] as const;
    peer.send(head(1, END_STREAM, ...fields));
    for (const [stream, status] of [
      [3, "304"],
      [5, "204"],
    ] as const) {
      const block = headerBlock([[":status", status], ...(status === "304" ? fields : [])]);
      peer.send(frame(TYPE.headers, END_HEADERS, stream, block), data(stream, END_STREAM, ""));
    }
    for (const answer of answers)
      assert.deepEqual([(await answer).ended, (await answer).error], [true, undefined]);
  });

  test("is over when the upstream speaks no HTTP/2, and what was under way was reset", async () => {
    const answer = request();
    await came(1);
    peer.socket.write("HTTP/1.1 400 Bad Request\r\n\r\n");
    assert.equal((await answer).error?.code, "protocol");
    await peer.until(() => upstream.exhausted);
  });
});
