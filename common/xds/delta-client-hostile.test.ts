/** The delta client against servers that answer garbage: what it holds stays, and it comes back. */
import assert from "node:assert/strict";
import type { ServerHttp2Stream } from "node:http2";
import { type TestContext, test } from "node:test";
import { COLORS, SHAPES, startTestClient } from "./delta-test-client.ts";
import type { DiscoveryResource } from "./discovery-rpc.ts";
import { begin, frame, HostileServer, identity, response } from "./hostile-server.ts";
import { SHORT_STREAMS_FORGIVEN, UNREAD_ACKNOWLEDGEMENTS } from "./limits.ts";

function color(name: string, text = name): DiscoveryResource {
  return { name, aliases: [], version: "1", typeUrl: COLORS, value: Buffer.from(text) };
}

const good = (...names: string[]) =>
  response({ typeUrl: COLORS, resources: names.map((name) => color(name)) });

function answer(stream: ServerHttp2Stream, ...parts: readonly Uint8Array[]): void {
  begin(stream);
  for (const part of parts) stream.write(part);
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!holds()) {
    if (Date.now() > deadline) assert.fail(`it never came to be that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A server whose first stream tells of red, the second is as the test says, the third of blue. */
async function meet(t: TestContext, misbehave: (stream: ServerHttp2Stream) => void) {
  const server = await HostileServer.start((stream, number) => {
    stream.resume();
    if (number === 0) {
      answer(stream, good("red"));
      setTimeout(() => stream.close(), 20);
    } else if (number === 1) {
      misbehave(stream);
    } else {
      answer(stream, good("blue"));
    }
  });
  const client = await startTestClient(t, server, identity);
  return { server, ...client };
}

const MISBEHAVIOUR: readonly [string, (stream: ServerHttp2Stream) => void][] = [
  ["garbage for protobuf", (stream) => answer(stream, frame(Buffer.alloc(1_000, 0xff)))],
  [
    "a message that breaks off",
    (stream) => {
      answer(stream, good("green").subarray(0, 12));
      setTimeout(() => stream.session?.destroy(), 20);
    },
  ],
  [
    "a message that is announced with four gigabytes",
    (stream) => answer(stream, frame(Buffer.alloc(100), { length: 0xffffffff })),
  ],
  [
    "a frame with a flag that nobody knows",
    (stream) => answer(stream, frame(good("x"), { flag: 7 })),
  ],
  [
    "a compressed frame that is not",
    (stream) => {
      begin(stream, { "grpc-encoding": "gzip" });
      stream.write(frame(Buffer.from("not gzip"), { flag: 1 }));
    },
  ],
  ["a reset", (stream) => stream.close(2)],
  [
    "a page of HTML",
    (stream) => {
      stream.respond({ ":status": 200, "content-type": "text/html" });
      stream.end("<h1>It works!</h1>");
    },
  ],
  ["an internal error", (stream) => stream.respond({ ":status": 503 }, { endStream: true })],
];

for (const [what, misbehave] of MISBEHAVIOUR) {
  test(`D4.67 ${what} changes nothing of what is held, and the next stream goes on from there`, async (t) => {
    const { server, held } = await meet(t, misbehave);
    await until("a third stream is there", () => server.streams >= 2);
    assert.deepEqual([...held.keys()], ["red"]);
    await until("blue is known", () => held.has("blue"));
    assert.deepEqual([...held.keys()], ["red", "blue"]);
  });
}

test("D4.67 wrong, empty and repeated nonces, and types nobody asked for, harm nothing", async (t) => {
  const strange = Array.from({ length: 500 }, (_, i) =>
    response({ typeUrl: `type.test/Strange${i}`, resources: [color("x")] }),
  );
  const { held, lines } = await meet(t, (stream) =>
    answer(
      stream,
      ...["", "n", "n", "x".repeat(100_000)].map((nonce) =>
        response({
          typeUrl: COLORS,
          nonce,
          resources: [color("red", nonce.slice(0, 3) || "none")],
        }),
      ),
      ...strange,
      response({
        typeUrl: SHAPES,
        nonce: "last",
        resources: [{ ...color("round"), typeUrl: SHAPES }],
      }),
    ),
  );
  await until("the last one is known", () => held.has("round"));
  assert.equal(held.get("red"), "xxx");
  assert.equal(lines.filter((line) => line.includes("was not asked for")).length, 1);
});

test("one name twice in a push, and removed in it, ends as the last word on it says", async (t) => {
  const { held } = await meet(t, (stream) =>
    answer(
      stream,
      response({ typeUrl: COLORS, resources: [color("red", "first"), color("red", "second")] }),
      response({
        typeUrl: COLORS,
        resources: [color("green")],
        removedResources: ["green", "gone"],
      }),
      good("end"),
    ),
  );
  await until("the end is known", () => held.has("end"));
  assert.equal(held.get("red"), "second");
  assert.ok(held.has("green"));
});

test("a push of 500 bad resources is some lines in the log and one refusal", async (t) => {
  const bad = Array.from({ length: 500 }, (_, i) => color(`bad-${i}`, "bad"));
  const { held, lines } = await meet(t, (stream) =>
    answer(stream, response({ typeUrl: COLORS, resources: [...bad, color("green")] })),
  );
  await until("the good one is known", () => held.has("green"));
  assert.ok(lines.filter((line) => line.includes("rejected")).length <= 21);
  assert.ok(lines.some((line) => line.includes("more=480")));
});

test("a server that sends without end and reads nothing is given up, with what it said so far", async (t) => {
  let sent = 0;
  const { server, held, lines } = await meet(t, (stream) => {
    stream.pause();
    begin(stream);
    const more = (): void => {
      while (!stream.destroyed && sent < 1_000_000) {
        if (!stream.write(good(`c${sent++ % 10}`))) {
          stream.once("drain", more);
          return;
        }
      }
    };
    more();
  });
  await until("it is given up", () => lines.some((line) => line.includes("sends on and on")));
  assert.ok(sent > UNREAD_ACKNOWLEDGEMENTS && sent < 1_000_000, `${sent} responses`);
  await until("the next stream is there", () => held.has("blue"));
  assert.ok(held.has("red") && held.has("c9"));
  assert.ok(server.streams >= 3);
});

test("a server that answers and ends again and again is asked less and less often", async (t) => {
  const server = await HostileServer.start((stream) => {
    stream.resume();
    stream.respond({ "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(good("red"));
  });
  const { delaysMs } = await startTestClient(t, server, identity, { random: () => 1 });
  await until("there have been some", () => delaysMs().length >= SHORT_STREAMS_FORGIVEN + 5);
  const delays = delaysMs();
  assert.equal(new Set(delays.slice(0, SHORT_STREAMS_FORGIVEN)).size, 1, delays.join());
  assert.ok((delays.at(-1) ?? 0) >= 8 * (delays[0] ?? 0), delays.join());
});
