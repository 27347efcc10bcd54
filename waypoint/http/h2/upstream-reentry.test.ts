/** Our requests to an upstream: what their owners do while others end, and what comes of that. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import {
  END_HEADERS,
  END_STREAM,
  frame,
  headerBlock,
  number32,
  TYPE,
} from "#test/support/h2-frames.ts";
import type { UpstreamConnection } from "../engine.ts";
import type { ClientExchange } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import type { BodyLength } from "../message.ts";
import { type RawPeer, settings } from "./raw-peer-fixture.ts";
import { RawUpstream } from "./raw-upstream-fixture.ts";

const NONE: BodyLength = { kind: "none" };

let raw: RawUpstream;
let upstream: UpstreamConnection;
let peer: RawPeer;
/** What owners were told, in order. */
let told: string[];

beforeEach(async () => {
  told = [];
  raw = await RawUpstream.open(settings([3, 1]));
  upstream = raw.connection;
  peer = raw.peer;
  await peer.until(() => upstream.capacity === 1);
});
afterEach(() => raw.close());

function request(name: string, method = "GET", length = NONE): ClientExchange {
  const mine = told;
  const headers = new HeaderList();
  const head = {
    version: "2",
    method,
    scheme: "http",
    authority: "a",
    path: "/",
    headers,
  } as const;
  return upstream.request(head, length, {
    onInformation: () => mine.push(`${name} informed`),
    onHead: (_head, { kind }) => mine.push(`${name} head, body ${kind}`),
    onData: () => true,
    onEnd: () => mine.push(`${name} end`),
    onDrain: () => undefined,
    onClosed: (error) => mine.push(`${name} closed ${error?.code}`),
  });
}

const head = (stream: number, ...fields: readonly (readonly [string, string])[]) =>
  frame(
    TYPE.headers,
    END_HEADERS | END_STREAM,
    stream,
    headerBlock([[":status", "200"], ...fields]),
  );

test("a request that is cancelled while it waits is never sent", async () => {
  const [one, other] = [request("one"), request("other")];
  other.cancel();
  one.cancel();
  await peer.settled();
  assert.deepEqual(told.sort(), ["one closed timeout", "other closed timeout"]);
  assert.equal(peer.of(TYPE.headers).length, 1);
  request("third");
  await peer.until(() => peer.of(TYPE.headers).length === 2);
});

test("no request that waits is sent when the upstream has said that it leaves", async () => {
  request("one");
  request("other");
  await peer.until(() => peer.of(TYPE.headers).length === 1);
  peer.send(frame(TYPE.goaway, 0, 0, Buffer.concat([number32(0), number32(0)])));
  await peer.until(() => told.length >= 2);
  assert.deepEqual(told.slice(0, 2).sort(), ["one closed not-sent", "other closed not-sent"]);
  await peer.until(() => peer.closed);
  assert.equal(peer.of(TYPE.headers).length, 1);
});

test("the length of what HEAD asked for is said on", async () => {
  request("one", "HEAD");
  await peer.until(() => peer.of(TYPE.headers).length === 1);
  peer.send(head(1, ["content-length", "5"]));
  await peer.until(() => told.length === 3);
  assert.deepEqual(told, ["one head, body known", "one end", "one closed undefined"]);
});
