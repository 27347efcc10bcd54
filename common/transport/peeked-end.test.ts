import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { End, EndEvents } from "./end.ts";
import { PeekedEnd } from "./peeked-end.ts";

/** An end whose peer is the test: it keeps to what an end promises. */
class ScriptedEnd implements End {
  bytesRead = 0;
  paused = false;
  wasReset = false;
  readonly #waiting: string[] = [];
  #events: EndEvents | undefined;
  start(events: EndEvents): void {
    this.#events = events;
  }
  /** What the peer sends arrives when it is read. */
  send(text: string): void {
    this.#waiting.push(text);
    this.#deliver();
  }
  end(): void {
    this.#events?.onEnd();
  }
  close(error?: Error): void {
    this.#events?.onClosed(error);
  }
  resume(): void {
    this.paused = false;
    this.#deliver();
  }
  #deliver(): void {
    while (!this.paused) {
      const text = this.#waiting.shift();
      if (text === undefined) return;
      if (this.#events?.onData(Buffer.from(text), undefined) !== true) this.paused = true;
    }
  }
  write(): boolean {
    return true;
  }
  shutdown(): void {
    this.wasReset = false;
  }
  probe(): void {
    this.resume();
  }
  reset(): void {
    this.wasReset = true;
  }
}

/** Takes an end and writes down what it hears. */
function taken(end: End, takes: (text: string) => boolean = () => true): string[] {
  const heard: string[] = [];
  end.start({
    onData: (chunk) => {
      heard.push(Buffer.from(chunk).toString());
      return takes(Buffer.from(chunk).toString());
    },
    onEnd: () => void heard.push("(end)"),
    onDrain: () => void heard.push("(drain)"),
    onClosed: (error) => void heard.push(error === undefined ? "(closed)" : `(${error.message})`),
  });
  return heard;
}

const untilLine = (bytes: Uint8Array, over: boolean): string | undefined => {
  const text = Buffer.from(bytes).toString();
  return text.includes("\n") || over ? `judged ${JSON.stringify(text)}` : undefined;
};

describe("an end that is looked at first", () => {
  test("gives whoever takes it all that came before, and then the rest", async () => {
    const inner = new ScriptedEnd();
    const end = new PeekedEnd(inner);
    const verdict = end.peek(untilLine, 60_000);
    inner.send("he");
    inner.send("llo\n");
    assert.equal(await verdict, 'judged "hello\\n"');
    inner.send("more");
    assert.equal(inner.paused, true);
    const heard = taken(end);
    inner.send("!");
    inner.end();
    inner.close();
    assert.deepEqual(heard, ["hello\n", "more", "!", "(end)", "(closed)"]);
  });

  test("judges what has come already", async () => {
    const inner = new ScriptedEnd();
    const end = new PeekedEnd(inner);
    inner.send("early\n");
    assert.equal(await end.peek(untilLine, 60_000), 'judged "early\\n"');
    assert.deepEqual(taken(end), ["early\n"]);
  });

  test("asks for a last word when the time is over, and loses nothing that comes after", async () => {
    const inner = new ScriptedEnd();
    const end = new PeekedEnd(inner);
    assert.equal(await end.peek(untilLine, 1), 'judged ""');
    inner.send("late");
    assert.deepEqual(taken(end), ["late"]);
  });

  test("asks for a last word when its peer has ended or gone, and tells of it later", async () => {
    const inner = new ScriptedEnd();
    const end = new PeekedEnd(inner);
    const verdict = end.peek(untilLine, 60_000);
    inner.send("half");
    inner.end();
    assert.equal(await verdict, 'judged "half"');
    inner.close(new Error("gone"));
    assert.equal(end.closed, true);
    assert.deepEqual(taken(end), ["half", "(end)", "(gone)"]);
  });

  test("does not read on where its taker is full", async () => {
    const inner = new ScriptedEnd();
    const end = new PeekedEnd(inner);
    inner.send("a\n");
    await end.peek(untilLine, 60_000);
    inner.send("b");
    const heard = taken(end, () => false);
    assert.deepEqual(heard, ["a\n"]);
    end.resume();
    assert.deepEqual(heard, ["a\n", "b"]);
    assert.equal(inner.paused, true);
  });
});
