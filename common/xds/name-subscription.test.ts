import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { NAMES_ABSENT, NAMES_PENDING } from "./limits.ts";
import { type NameAnswers, NameSubscription } from "./name-subscription.ts";

/** A subscription on a stream, with all that it sent and all that it was told. */
function open() {
  const sent: [readonly string[], readonly string[]][] = [];
  const answers: NameAnswers[] = [];
  const names = new NameSubscription((each) => void answers.push(each));
  const attach = () =>
    names.attach((subscribe, unsubscribe) => void sent.push([subscribe, unsubscribe]));
  attach();
  return { names, sent, answers, attach };
}

test("what is asked for in one turn is one request, each name once", async () => {
  const { names, sent } = open();
  assert.deepEqual(
    ["a", "b", "a"].map((name) => names.ask(name)),
    Array(3).fill("pending"),
  );
  await turn();
  assert.deepEqual(sent, [[["a", "b"], []]]);
});

test("only names that were asked for are answered; aliases are names", async () => {
  const { names, answers } = open();
  names.ask("net/10.0.0.1");
  names.ask("net/10.0.0.9");
  names.answered(["uid-1", "net/10.0.0.1"], ["net/10.0.0.9", "uid-7"]);
  assert.deepEqual(answers, [{ found: ["net/10.0.0.1"], absent: ["net/10.0.0.9"], forgotten: [] }]);
});

test("a name that was answered is unsubscribed before it is asked for again", async () => {
  const { names, sent } = open();
  names.ask("a");
  await turn();
  names.answered(["a"], []);
  assert.equal(names.ask("a"), "pending");
  await turn();
  assert.deepEqual(sent.slice(1), [
    [[], ["a"]],
    [["a"], []],
  ]);
});

test("a stream takes up what was answered, and asks again for what was not", () => {
  const { names, attach } = open();
  for (const name of ["found", "absent", "open"]) names.ask(name);
  names.answered(["found"], ["absent"]);
  names.detach();
  assert.equal(names.ask("absent"), "absent");
  assert.equal(names.ask("found"), "pending");
  names.answered(["found"], []);
  assert.deepEqual(attach(), { settled: ["found", "absent"], open: ["open"] });
});

test("of the names that lead nowhere the oldest is let go, but none that is kept", async () => {
  const { names, sent, answers } = open();
  names.keep("own");
  const strangers = Array.from({ length: NAMES_ABSENT }, (_, i) => `n${i}`);
  for (let at = 0; at < strangers.length; at += NAMES_PENDING / 2) {
    const some = strangers.slice(at, at + NAMES_PENDING / 2);
    for (const name of some) names.ask(name);
    names.answered([], ["own", ...some]);
  }
  await turn();
  assert.deepEqual(answers.at(-1)?.forgotten, ["n0"]);
  assert.deepEqual(sent.at(-2), [[], ["n0"]]);
  names.release("own");
  assert.deepEqual(answers.at(-1)?.forgotten, ["own"]);
});

test("beyond the bound of open questions nothing is asked for but what is kept", () => {
  const { names } = open();
  for (let i = 0; i < NAMES_PENDING; i++) names.ask(`n${i}`);
  assert.equal(names.ask("one more"), "limit");
  names.keep("own");
  assert.equal(names.ask("own"), "pending");
  names.answered(["n0", "n1"], []);
  assert.equal(names.ask("one more"), "pending");
});
