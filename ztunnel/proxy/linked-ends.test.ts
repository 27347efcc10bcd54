import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { End, EndEvents } from "#common/transport/end.ts";
import { linkedEnds } from "./linked-ends.ts";

/** A reader that notes what it hears, and takes as much as it is told to. */
class Reader implements EndEvents {
  readonly heard: string[] = [];
  willing = true;

  onData(chunk: Uint8Array, release: (() => void) | undefined): boolean {
    this.heard.push(Buffer.from(chunk).toString());
    release?.();
    return this.willing;
  }
  onEnd(): void {
    this.heard.push("end");
  }
  onDrain(): void {
    this.heard.push("drain");
  }
  onClosed(error: Error | undefined): void {
    this.heard.push(error === undefined ? "closed" : `closed: ${error.message}`);
  }
}

function linked(): { a: End; b: End; atA: Reader; atB: Reader } {
  const [a, b] = linkedEnds();
  return { a, b, atA: new Reader(), atB: new Reader() };
}

test("what is written to one end is delivered by the other at once", () => {
  const { a, b, atA, atB } = linked();
  a.start(atA);
  b.start(atB);
  assert.equal(a.write(Buffer.from("ping"), undefined), true);
  assert.equal(b.write(Buffer.from("pong"), undefined), true);
  assert.deepEqual([atB.heard, atA.heard], [["ping"], ["pong"]]);
  assert.deepEqual([b.bytesRead, a.bytesRead], [4, 4]);
});

test("bytes and an end that come before the reader starts wait for it", () => {
  const { a, b, atA, atB } = linked();
  b.start(atB);
  assert.equal(b.write(Buffer.from("banner"), undefined), false);
  b.shutdown();
  a.start(atA);
  assert.deepEqual(atA.heard, ["banner", "end"]);
  assert.deepEqual(atB.heard, ["drain"]);
});

test("a reader that takes no more holds the writer back until it resumes", () => {
  const { a, b, atA, atB } = linked();
  a.start(atA);
  b.start(atB);
  atB.willing = false;
  assert.equal(a.write(Buffer.from("1"), undefined), false);
  assert.equal(a.write(Buffer.from("2"), undefined), false);
  a.shutdown();
  assert.deepEqual(atB.heard, ["1"], "the end waits behind what is held");
  b.resume();
  assert.deepEqual(atB.heard, ["1", "2", "end"]);
  assert.deepEqual(atA.heard, [], "the reader still takes no more");
  atB.willing = true;
  b.resume();
  assert.deepEqual(atA.heard, ["drain"]);
});

test("an end in one direction leaves the other open; after both, both are closed", async () => {
  const { a, b, atA, atB } = linked();
  a.start(atA);
  b.start(atB);
  a.shutdown();
  assert.equal(b.write(Buffer.from("late"), undefined), true);
  b.shutdown();
  await turn();
  assert.deepEqual(atB.heard, ["end", "closed"]);
  assert.deepEqual(atA.heard, ["late", "end", "closed"]);
});

test("a reset reaches both ends once and gives back what was held", async () => {
  const { a, b, atA, atB } = linked();
  b.start(atB);
  let released = 0;
  b.write(Buffer.from("held"), () => released++);
  b.reset();
  a.reset();
  a.start(atA);
  await turn();
  assert.equal(released, 1);
  assert.deepEqual(atB.heard, ["closed: connection closed"]);
  assert.deepEqual(atA.heard, ["closed: reset by the peer"]);
  assert.equal(
    a.write(Buffer.from("x"), () => released++),
    false,
  );
  assert.equal(released, 2);
});
