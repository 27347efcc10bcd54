import assert from "node:assert/strict";
import { beforeEach, describe, mock, test } from "node:test";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { EMPTY_UPDATE } from "#common/mesh-state/state-update.ts";
import { ip, pod, service } from "#common/mesh-state/test-records.ts";
import { LOOK_UP_ABSENT_MS, LOOK_UP_WAIT_MS, LOOK_UPS_WAITING } from "./limits.ts";
import { LookUps } from "./look-ups.ts";

const SOURCE = { network: "" };
const WEB = "10.0.0.1";
const NOTHING = { found: [], absent: [], forgotten: [], refused: [] };

let state: ProxyState;
let asked: string[];
let nowMs: number;
let lookUps: LookUps;
beforeEach(() => {
  state = new ProxyState({ network: "" });
  asked = [];
  nowMs = 0;
  lookUps = new LookUps({ state, ask: (name) => void asked.push(name), now: () => nowMs });
});

/** What becomes of a connection to `address`; undefined where it may be routed. */
function route(address: string) {
  return lookUps.route(SOURCE, { ip: ip(address), port: 80 });
}

function learn(...addresses: Parameters<ProxyState["apply"]>[0]["addresses"]): void {
  state.apply({ ...EMPTY_UPDATE, addresses });
}

const found = (...names: string[]) => lookUps.answered({ ...NOTHING, found: names });
const absent = (...names: string[]) => lookUps.answered({ ...NOTHING, absent: names });
const turn = () => new Promise((resolve) => setImmediate(resolve));

const web = { kind: "workload", workload: pod("web", [WEB]) } as const;

describe("an address", () => {
  test("is asked for once by all who wait for it, and known from then on", async () => {
    const waiting = [route(WEB), route(WEB)];
    assert.deepEqual(asked, [`/${WEB}`]);
    learn(web);
    found(`/${WEB}`);
    assert.deepEqual(await Promise.all(waiting), [undefined, undefined]);
    assert.equal(await route(WEB), undefined);
    assert.equal(asked.length, 1);
  });

  test("at which nobody is may be sent to, and is asked for again after a while", async () => {
    const first = route("8.8.8.8");
    absent("/8.8.8.8");
    assert.equal(await first, undefined);
    nowMs = LOOK_UP_ABSENT_MS - 1;
    assert.equal(await route("8.8.8.8"), undefined);
    assert.equal(asked.length, 1);
    nowMs++;
    const again = route("8.8.8.8");
    assert.equal(asked.length, 2);
    lookUps.answered({ ...NOTHING, found: ["/8.8.8.8"] });
    assert.equal(await again, undefined, "it was nobody's before");
  });

  test("that somebody has left is asked for again", async () => {
    const first = route(WEB);
    learn(web);
    found(`/${WEB}`);
    await first;
    state.apply({ ...EMPTY_UPDATE, removedAddresses: [web.workload.uid] });
    const again = route(WEB);
    assert.equal(asked.length, 2);
    absent(`/${WEB}`);
    assert.equal(await again, undefined);
  });

  test("whose record cannot be used is not sent to", async () => {
    const waiting = route(WEB);
    found(`/${WEB}`);
    assert.match((await waiting)?.message ?? "", /its record cannot be used/);
  });

  test("that the control plane does not speak of is not sent to, but for one it spoke of", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      learn(web);
      const waiting = [route("10.0.0.2"), route(WEB)];
      mock.timers.tick(LOOK_UP_WAIT_MS);
      const [unknown, known] = await Promise.all(waiting);
      assert.equal(unknown?.reason, "unknown-destination");
      assert.equal(known, undefined);
    } finally {
      mock.timers.reset();
    }
  });

  test("of this machine's own is not asked for", async () => {
    assert.equal(await route("127.0.0.1"), undefined);
    assert.deepEqual(asked, []);
  });
});

describe("at a bound", () => {
  test("of the control thread, whoever waits is refused", async () => {
    const waiting = route(WEB);
    lookUps.answered({ ...NOTHING, refused: [`/${WEB}`] });
    assert.equal((await waiting)?.reason, "limit-reached");
  });

  test("of those who wait, the next one is refused, and none when they are answered", async () => {
    const waiting = Array.from({ length: LOOK_UPS_WAITING }, () => route(WEB));
    assert.equal((await route("10.0.0.2"))?.reason, "limit-reached");
    absent(`/${WEB}`);
    await Promise.all(waiting);
    const next = route("10.0.0.2");
    absent("/10.0.0.2");
    assert.equal(await next, undefined);
  });
});

test("the waypoints of a service and of a workload are asked for as well", async () => {
  const gateway = (hostname: string) =>
    ({ kind: "hostname", name: { namespace: "shop", hostname }, hboneMtlsPort: 15008 }) as const;
  const weighted = [{ destination: gateway("canary"), weight: 1 }];
  const shop = service("web.shop", ["10.1.0.1"], {
    waypoint: gateway("wp"),
    weightedWaypoints: weighted,
  });
  const waiting = route("10.1.0.1");
  learn({ kind: "service", service: shop });
  found("/10.1.0.1");
  await turn();
  assert.deepEqual(asked.slice(1), ["shop/canary", "shop/wp"]);
  learn(
    ...["canary", "wp"].map((name) => ({ kind: "service", service: service(name, []) }) as const),
  );
  found("shop/canary", "shop/wp");
  assert.equal(await waiting, undefined);
});

test("what is only nice to know is asked for without waiting, and not again once answered", () => {
  lookUps.mention(`/${WEB}`);
  absent(`/${WEB}`);
  lookUps.mention(`/${WEB}`);
  assert.deepEqual(asked, [`/${WEB}`]);
});
