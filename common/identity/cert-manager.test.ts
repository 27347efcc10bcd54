import assert from "node:assert/strict";
import { test } from "node:test";
import { makeIdentity } from "#common/model/identity.ts";
import { DAY_MS, settled, setUp, WEB } from "./cert-manager-fixture.ts";
import { CERTIFICATE_FETCHES } from "./limits.ts";

test("pods of one identity share one certificate", async () => {
  const { manager, fetches, delivered } = setUp();
  manager.retain(WEB);
  manager.retain(WEB);
  await settled();
  assert.deepEqual(fetches, ["web"]);
  assert.equal(delivered.length, 1);
  assert.ok(manager.current(WEB));
});

test("a certificate is renewed at half its life, again and again", async () => {
  const { manager, clock, fetches } = setUp();
  manager.retain(WEB);
  await settled();
  await clock.advance(DAY_MS / 2 - 1000);
  assert.equal(fetches.length, 1);
  await clock.advance(2000);
  assert.equal(fetches.length, 2);
  await clock.advance(DAY_MS / 2);
  assert.equal(fetches.length, 3);
});

test("D4.34 a valid certificate keeps serving while the CA is away, until it expires", async () => {
  let away = false;
  const { manager, clock, fetches } = setUp(async () => {
    if (away) throw new Error("connection refused");
  });
  manager.retain(WEB);
  await settled();
  away = true;
  await clock.advance(DAY_MS * 0.9);
  assert.equal([...manager.statuses()][0]?.status.state, "available");
  await clock.advance(DAY_MS * 0.2);
  const status = [...manager.statuses()][0]?.status;
  assert.deepEqual(status, { state: "unavailable", error: "connection refused" });
  away = false;
  await clock.advance(200_000);
  assert.equal([...manager.statuses()][0]?.status.state, "available");
  // From 12 h to 26.4 h in steps that grow to 150 s: no storm.
  assert.ok(fetches.length < 600, `${fetches.length} attempts`);
});

test("the last pod takes its certificate along, and nothing is renewed for it", async () => {
  const { manager, clock, fetches } = setUp();
  manager.retain(WEB);
  manager.retain(WEB);
  await settled();
  manager.release(WEB);
  assert.ok(manager.current(WEB));
  manager.release(WEB);
  assert.equal(manager.current(WEB), undefined);
  await clock.advance(DAY_MS * 3);
  assert.equal(fetches.length, 1);
});

test("at most so many certificates are fetched at once", async () => {
  const waiting: (() => void)[] = [];
  const { manager, fetches } = setUp(() => new Promise((resolve) => waiting.push(resolve)));
  for (let i = 0; i < 20; i++) manager.retain(makeIdentity("cluster.local", "shop", `sa${i}`));
  await settled();
  assert.equal(fetches.length, CERTIFICATE_FETCHES);
  waiting.shift()?.();
  await settled();
  assert.equal(fetches.length, CERTIFICATE_FETCHES + 1);
});

test("attempts against an absent CA grow from half a second to minutes", async () => {
  const at: number[] = [];
  const { manager, clock } = setUp(() => {
    at.push(clock.now());
    return Promise.reject(new Error("connection refused"));
  });
  manager.retain(WEB);
  await settled();
  await clock.advance(DAY_MS / 24);
  const gaps = at.slice(1).map((time, i) => time - (at[i] ?? 0));
  assert.ok((gaps[0] ?? 0) >= 250 && (gaps[0] ?? 0) <= 500, `${gaps[0]}`);
  assert.ok(
    gaps.every((gap, i) => i === 0 || gap >= (gaps[i - 1] ?? 0)),
    gaps.join(),
  );
  assert.ok((gaps.at(-1) ?? 0) >= 75_000 && (gaps.at(-1) ?? 0) <= 150_000, `${gaps.at(-1)}`);
});

test("when the CA answers again, identities without a certificate come at once", async () => {
  const away = new Set(["web", "db"]);
  const { manager, clock, fetches } = setUp((identity) =>
    away.has(identity.serviceAccount) ? Promise.reject(new Error("away")) : Promise.resolve(),
  );
  manager.retain(WEB);
  manager.retain(makeIdentity("cluster.local", "shop", "db"));
  await settled();
  await clock.advance(DAY_MS / 24);
  away.clear();
  const before = fetches.length;
  manager.retain(makeIdentity("cluster.local", "shop", "new"));
  await settled();
  assert.deepEqual(fetches.slice(before), ["new", "web", "db"]);
  await clock.advance(DAY_MS / 8);
  assert.equal(fetches.length, before + 3, "and no leftover timer asks again");
});

test("one identity that is refused for good does not make the others ask again", async () => {
  const { manager, clock, fetches } = setUp((identity) =>
    identity.serviceAccount === "web" ? Promise.reject(new Error("refused")) : Promise.resolve(),
  );
  manager.retain(WEB);
  manager.retain(makeIdentity("cluster.local", "shop", "db"));
  await settled();
  await clock.advance(DAY_MS / 24);
  assert.equal(fetches.filter((name) => name === "db").length, 1);
});

test("a certificate that arrives after its last pod has gone is dropped", async () => {
  let answer: () => void = () => undefined;
  const { manager, clock, fetches, delivered } = setUp(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  manager.retain(WEB);
  await settled();
  manager.release(WEB);
  answer();
  await settled();
  await clock.advance(DAY_MS);
  assert.equal(delivered.length, 0);
  assert.equal(fetches.length, 1);
  assert.deepEqual([...manager.statuses()], []);
});

test("every renewed certificate is handed on, the old one until then", async () => {
  const { manager, clock, delivered } = setUp();
  manager.retain(WEB);
  await settled();
  const first = manager.current(WEB);
  await clock.advance(DAY_MS * 0.6);
  assert.equal(delivered.length, 2);
  assert.equal(delivered[0], first);
  assert.equal(manager.current(WEB), delivered[1]);
  assert.ok((delivered[1]?.notAfter ?? 0) > (first?.notAfter ?? 0));
});

test("renewals of many identities are spread in time", async () => {
  let random = 0;
  const { manager, clock, fetches } = setUp(undefined, () => {
    random = (random + 0.37) % 1;
    return random;
  });
  for (let i = 0; i < 20; i++) manager.retain(makeIdentity("cluster.local", "shop", `sa${i}`));
  await settled();
  const before = fetches.length;
  await clock.advance(DAY_MS * 0.45 - 1000);
  assert.equal(fetches.length, before, "none earlier than a twentieth of its life before half");
  await clock.advance(DAY_MS * 0.05);
  const early = fetches.length - before;
  assert.ok(early > 4 && early < 16, `${early} of 20 in the first half of the window`);
  await clock.advance(DAY_MS * 0.05 + 2000);
  assert.equal(fetches.length - before, 20);
});

test("nothing is fetched after close", async () => {
  const { manager, clock, fetches } = setUp();
  manager.retain(WEB);
  await settled();
  manager.close();
  manager.retain(makeIdentity("cluster.local", "shop", "db"));
  await clock.advance(DAY_MS * 2);
  assert.equal(fetches.length, 1);
});
