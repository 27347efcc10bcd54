/** Every fuzz target for a moment, and every input that once showed a fault. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { readCases, targetsWithCases } from "./cases.ts";
import { runSession } from "./fuzz-session.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { Fuzzer } from "./fuzzer.ts";
import { minimise } from "./minimise.ts";
import { parseOptions } from "./options.ts";
import { TARGETS } from "./targets/index.ts";

const SEED = 20_260_401;
/** Whichever comes first: on a slow machine fewer inputs are tried. */
const INPUTS = 3_000;
const SECONDS = 1.5;
/** Of machines that are many times slower. */
const TIMEOUT_MS = 120_000;

describe("no input makes a reader fail, hang or contradict itself", () => {
  const fuzzer = new Fuzzer();
  after(() => fuzzer[Symbol.asyncDispose]());

  for (const target of TARGETS) {
    test(target.name, { timeout: TIMEOUT_MS }, async () => {
      for (const { file, input } of readCases(target.name)) {
        assert.doesNotThrow(() => target.check(input), `cases/${target.name}/${file}`);
      }
      const job = { target: target.name, seed: SEED, inputs: INPUTS, seconds: SECONDS };
      const { tried, finding } = await fuzzer.run(job);
      assert.equal(finding?.error, undefined, `input ${finding?.input.toString("base64")}`);
      assert.ok(tried > target.corpus.length, `only ${tried} inputs`);
    });
  }
});

test("every kept case belongs to a target", () => {
  const names = TARGETS.map(({ name }) => name);
  assert.deepEqual(
    targetsWithCases().filter((name) => !names.includes(name)),
    [],
  );
});

describe("the fuzzer", () => {
  /** Fails on any input that has both words in it. */
  const broken: FuzzTarget = {
    name: "broken",
    corpus: [Buffer.from("something good")],
    words: ["open", "sesame"],
    check: (input) => {
      const text = input.toString("latin1");
      if (text.includes("open") && text.includes("sesame")) throw new TypeError("fell open");
      return text.includes("open") ? "half" : "closed";
    },
  };
  const find = (seed: number) =>
    runSession({ target: broken, seed, goOn: (tried) => tried < 50_000 }).finding;

  test("finds a fault, and makes its input as small as it gets", () => {
    const finding = find(1);
    assert.match(finding?.error ?? "", /^TypeError: fell open/);
    assert.match(finding?.input.toString() ?? "", /^(opensesame|sesameopen)$/);
  });

  test("makes the same inputs of the same seed, and others of another", () => {
    const [first, again, other] = [2, 2, 3].map((seed) => ({ ...find(seed), error: "" }));
    assert.deepEqual(again, first);
    assert.notDeepEqual(other, { ...first, seed: 3 });
  });

  test("does not minimise one fault into another", () => {
    const input = Buffer.from("xxAxxBxx");
    const small = minimise(input, (candidate) => candidate.includes("B"), 100);
    assert.equal(small.toString(), "B");
    assert.equal(
      minimise(input, () => false, 100),
      input,
    );
  });

  test("takes targets, seconds and a seed, and says what is wrong with others", () => {
    const random = () => 0.5;
    assert.deepEqual(
      parseOptions(["--target", "yaml,zds", "--seconds", "5", "--seed", "7"], random),
      {
        targets: ["yaml", "zds"],
        seconds: 5,
        seed: 7,
      },
    );
    assert.equal(parseOptions(["--help"], random), undefined);
    assert.throws(() => parseOptions(["--target", "nothing"], random), /no fuzz target nothing/);
    assert.throws(() => parseOptions(["--seconds", "x"], random), /whole number/);
  });
});
