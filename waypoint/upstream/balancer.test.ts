import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Balanced, type BalancerKind, createBalancer } from "./balancer.ts";
import { hash32 } from "./hash.ts";

interface Host extends Balanced {
  active: number;
}

function hosts(...weights: readonly number[]): readonly Host[] {
  return weights.map((weight, i) => ({ id: `Kubernetes//Pod/shop/api-${i}`, weight, active: 0 }));
}

/** Mulberry32: the same sequence for the same seed. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const KINDS: readonly BalancerKind[] = [
  "round-robin",
  "least-request",
  "random",
  "consistent-hash",
];
const everyone = (): boolean => true;
const weightLists = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 12 });

for (const kind of KINDS) {
  test(`${kind} takes a usable endpoint if there is one, and never another`, () => {
    fc.assert(
      fc.property(
        weightLists,
        fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
        fc.integer(),
        (weights, usable, seed) => {
          const list = hosts(...weights);
          const balancer = createBalancer(kind, list, dice(seed));
          const isUsable = (host: Host): boolean => usable[list.indexOf(host)] === true;
          for (let i = 0; i < 10; i++) {
            const hash = hash32(String(seed + i));
            const host = balancer.pick(isUsable, hash);
            assert.equal(host !== undefined, list.some(isUsable));
            if (host !== undefined) assert.ok(isUsable(host));
          }
        },
      ),
      { numRuns: 100 },
    );
  });
}

describe("shares follow weights", () => {
  for (const kind of KINDS.slice(0, 3)) {
    test(`with ${kind}`, () => {
      const list = hosts(1, 2, 7);
      const balancer = createBalancer(kind, list, dice(42));
      const counts = new Map<Host, number>();
      for (let i = 0; i < 20_000; i++) {
        const host = balancer.pick(everyone, undefined);
        if (host !== undefined) counts.set(host, (counts.get(host) ?? 0) + 1);
      }
      // Of two that are equally busy the first drawn is taken, so weights decide here, too.
      for (const host of list) {
        const share = (counts.get(host) ?? 0) / 20_000;
        assert.ok(Math.abs(share - host.weight / 10) < 0.03, `${share} for weight ${host.weight}`);
      }
    });
  }
});

test("round robin gives everyone the same, exactly", () => {
  const list = hosts(1, 1, 1, 1);
  const balancer = createBalancer("round-robin", list, dice(1));
  const picked = Array.from({ length: 400 }, () => balancer.pick(everyone, undefined)?.id);
  for (const { id } of list) assert.equal(picked.filter((one) => one === id).length, 100);
});

test("least request leaves out whoever hangs", () => {
  const list = hosts(1, 1, 1);
  const [hanging] = list;
  assert.ok(hanging);
  hanging.active = 50;
  const balancer = createBalancer("least-request", list, dice(7));
  for (let i = 0; i < 100; i++) assert.notEqual(balancer.pick(everyone, undefined), hanging);
});

describe("consistent hashing", () => {
  const keys = Array.from({ length: 5_000 }, (_, i) => hash32(`user-${i}`));
  const place = (list: readonly Host[]): readonly (string | undefined)[] => {
    const balancer = createBalancer("consistent-hash", list, dice(1));
    return keys.map((key) => balancer.pick(everyone, key)?.id);
  };

  test("is the same in every waypoint, whatever order it learned the endpoints in", () => {
    const list = hosts(1, 1, 1, 1, 1);
    assert.deepEqual(place(list), place([...list].reverse()));
  });

  test("moves only what belonged to an endpoint that went", () => {
    const list = hosts(...Array.from({ length: 10 }, () => 1));
    const [gone, ...rest] = list;
    const before = place(list);
    const after = place(rest);
    for (const [i, id] of before.entries()) if (id !== gone?.id) assert.equal(after[i], id);
  });

  test("gives each endpoint about its share", () => {
    const list = hosts(1, 1, 1, 1, 2);
    const counts = new Map<string | undefined, number>();
    for (const id of place(list)) counts.set(id, (counts.get(id) ?? 0) + 1);
    for (const { id, weight } of list) {
      const share = (counts.get(id) ?? 0) / keys.length;
      assert.ok(Math.abs(share - weight / 6) < 0.07, `${share} for weight ${weight}`);
    }
  });
});
