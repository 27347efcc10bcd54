import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { text } from "node:stream/consumers";
import { afterEach, test } from "node:test";
import type { PeekedBody, Stage } from "../filter/stage.ts";
import { ProxyFixture, toApi } from "./proxy-fixture.ts";
import { until } from "./test-client.ts";

let fixture: ProxyFixture;
let peeked: PeekedBody[] = [];

/** A proxy with a stage that reads `maxBytes` ahead, before an upstream that echoes bodies. */
async function peeking(maxBytes: number): Promise<void> {
  peeked = [];
  const stage: Stage = async (context) => {
    const body = await context.peekBody?.(maxBytes);
    if (body !== undefined) peeked.push(body);
    return undefined;
  };
  fixture = await ProxyFixture.start({ stages: [stage] });
  fixture.route({ backends: [toApi()] });
  await fixture.startPod((request, response) => request.pipe(response));
}
afterEach(async () => {
  await until(() => fixture.isIdle);
  fixture.stop();
});

async function send(body: Buffer, headers: http.OutgoingHttpHeaders = {}): Promise<string> {
  const { port } = fixture;
  const request = http.request({ port, host: "127.0.0.1", agent: false, method: "POST", headers });
  if (headers.expect !== undefined) await once(request, "continue");
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return text(response);
}

test("a stage sees a whole body that the upstream gets as well", async () => {
  await peeking(1_000);
  assert.equal(await send(Buffer.from("hello")), "hello");
  assert.equal(await send(Buffer.alloc(0)), "");
  assert.equal(await send(Buffer.alloc(1_000, "x")), "x".repeat(1_000));
  const seen = peeked.map(({ bytes, complete }) => [bytes.length, complete]);
  assert.deepEqual(seen, [
    [5, true],
    [0, true],
    [1_000, true],
  ]);
});

test("a stage sees the beginning of a body that is longer", async () => {
  await peeking(100_000);
  const body = Buffer.alloc(1_000_000, "y");
  assert.equal((await send(body)).length, body.length);
  assert.deepEqual([peeked[0]?.bytes.length, peeked[0]?.complete], [100_000, false]);
});

test("a client that waits for leave to send its body gets it", async () => {
  await peeking(100);
  const headers = { expect: "100-continue", "content-length": "5" };
  assert.equal(await send(Buffer.from("hello"), headers), "hello");
});
