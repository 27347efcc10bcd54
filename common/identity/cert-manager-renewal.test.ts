import assert from "node:assert/strict";
import { test } from "node:test";
import { makeIdentity } from "#common/model/identity.ts";
import { DAY_MS, settled, setUp, WEB } from "./cert-manager-fixture.ts";
import { ROOT_CHANGE_DELAY_MS, ROOT_CHANGE_SPREAD_MS } from "./limits.ts";

test("D4.25 a clock that steps back a day neither stops renewals nor starts a storm of them", async () => {
  const { manager, clock, fetches } = setUp();
  manager.retain(WEB);
  await settled();
  clock.skewMs = -DAY_MS;
  await clock.advance(DAY_MS / 2 + 1_000);
  assert.equal(fetches.length, 2, "renewed by the time that has passed");
  clock.skewMs = 0;
  await clock.advance(DAY_MS / 2 + 1_000);
  assert.ok(fetches.length <= 4, `${fetches.length} fetches`);
  assert.equal([...manager.statuses()][0]?.status.state, "available");
});

test("D4.25 a clock that steps forward renews what is due by it within a minute", async () => {
  const { manager, clock, fetches } = setUp();
  manager.retain(WEB);
  await settled();
  await clock.advance(60_000);
  clock.skewMs = DAY_MS * 0.6;
  await clock.advance(61_000);
  assert.equal(fetches.length, 2);
});

test("other roots renew every certificate soon, each at a moment of its own, once", async () => {
  let turn = 0;
  const random = () => (turn++ % 10) / 10;
  const { manager, clock, fetches } = setUp(() => Promise.resolve(), random);
  for (let i = 0; i < 10; i++) manager.retain(makeIdentity("cluster.local", "shop", `sa-${i}`));
  await settled();
  await settled();
  assert.equal(fetches.length, 10);
  manager.renewAll();
  await clock.advance(ROOT_CHANGE_DELAY_MS + ROOT_CHANGE_SPREAD_MS / 2);
  assert.ok(fetches.length > 10 && fetches.length < 20, `${fetches.length} after half the time`);
  await clock.advance(ROOT_CHANGE_SPREAD_MS);
  assert.equal(new Set(fetches.slice(10)).size, 10);
  assert.equal(fetches.length, 20);
});

test("a certificate that is under way when the roots change is fetched once more", async () => {
  let release = (): void => undefined;
  const { manager, clock, fetches, delivered } = setUp(
    () => new Promise((resolve) => (release = resolve)),
  );
  manager.retain(WEB);
  await settled();
  manager.renewAll();
  release();
  await settled();
  assert.deepEqual([fetches.length, delivered.length], [1, 1]);
  await clock.advance(ROOT_CHANGE_DELAY_MS + ROOT_CHANGE_SPREAD_MS);
  assert.equal(fetches.length, 2);
});

test("a certificate that was revoked is replaced at once", async () => {
  const { manager, fetches } = setUp();
  manager.retain(WEB);
  await settled();
  manager.renew(WEB.uri);
  manager.renew("spiffe://cluster.local/ns/nobody/sa/here");
  await settled();
  assert.equal(fetches.length, 2);
});
