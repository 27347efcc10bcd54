import assert from "node:assert/strict";
import type net from "node:net";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { RepairReason } from "#common/model/captured-pod.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { APP_PORT, CaptureFixture, POD } from "./capture-fixture.ts";
import { CLIENT_IPV4, CLIENT_IPV6, NamespaceTestbed } from "./namespace-testbed.ts";
import { runInNetnsOrThrow } from "./run-in-netns.ts";

/** So long that only events can tell of anything. */
const NO_CHECKS_MS = 3_600_000;
const OFTEN_MS = 50;

type Break = (bed: NamespaceTestbed) => Promise<unknown>;
const nft =
  (rules: string): Break =>
  (bed) =>
    bed.nft(bed.pod, `${rules}\n`);
const ip =
  (...args: string[]): Break =>
  ({ sys, pod }) =>
    runInNetnsOrThrow(sys, pod.netns, { command: "ip", args });

const LOSSES: readonly [string, Break, RepairReason][] = [
  ["everything flushed", nft("flush ruleset"), "rules-missing"],
  ["one table deleted", nft("delete table inet istio-ambient-mangle"), "rules-missing"],
  ["one chain flushed", nft("flush chain inet istio-ambient-nat istio-output"), "rules-missing"],
  [
    "a rule put before them",
    nft("insert rule inet istio-ambient-nat output accept"),
    "rules-changed",
  ],
  ["the policy rule deleted", ip("rule", "del", "pref", "32764"), "policy-route"],
  ["the IPv6 policy rule deleted", ip("-6", "rule", "del", "pref", "32764"), "policy-route"],
  ["the routes flushed", ip("route", "flush", "table", "100"), "policy-route"],
  ["loopback switched off and on", (bed) => toggleLoopback(bed), "policy-route"],
];

async function toggleLoopback(bed: NamespaceTestbed): Promise<void> {
  await bed.ip(bed.pod, "link set lo down");
  await bed.ip(bed.pod, "link set lo up");
}

describe("a captured pod that somebody works on", () => {
  let bed: NamespaceTestbed;
  let fixture: CaptureFixture;
  const warnings = () => fixture.logged.filter((line) => line.includes("has been repaired"));

  before(async () => {
    bed = await NamespaceTestbed.create();
    await bed.serve(bed.client, "::", APP_PORT, (socket) => socket.write("outside"));
  });
  after(() => bed.close());
  afterEach(() => fixture.close());

  describe("is mended by what is heard of it alone", () => {
    beforeEach(async () => {
      fixture = new CaptureFixture(bed, NO_CHECKS_MS);
      await fixture.capture();
    });

    for (const [what, break_, reason] of LOSSES) {
      it(what, async () => {
        await break_(bed);
        await fixture.untilRepaired(reason);
        const isCaptured = async () => (await fixture.outbound()) === "15001";
        await fixture.until(isCaptured, "waited for capture");
        // "ip route flush" goes round again, and may find what has been mended meanwhile.
        const isTold = () => fixture.reported.at(-1)?.repairs?.count === warnings().length;
        await fixture.until(isTold, "a report");
        assert.ok(warnings().length <= 2, "once is enough");
        assert.match(fixture.reported.at(-1)?.repairs?.last ?? "", new RegExp(`^${reason}: `));
        assert.deepEqual(fixture.sink.events, ["add 6"], "listeners and connections stay");
      });
    }

    it("a sandbox that is made again", async () => {
      const { pod } = bed;
      const second = await bed.bareNamespace();
      await bed.ip(
        second,
        "link add eth0 type veth peer name eth1",
        `addr add ${POD.ips[0]}/24 dev eth0`,
        "link set eth0 up",
        "link set eth1 up",
      );
      fixture.sandbox(POD.uid, second.pid);
      await fixture.untilRepaired("namespace-replaced");
      assert.match(await bed.nft(second, "list ruleset\n"), /istio-ambient-nat/);
      assert.notEqual(pod.netns.id, second.netns.id);
    });

    it("an address that changes", async () => {
      const other = "10.77.0.3" as IpAddress;
      await bed.ip(bed.pod, `addr add ${other}/24 dev eth0`);
      fixture.manager.apply([{ ...POD, ips: [other] }], []);
      await fixture.untilRepaired("address-changed");
      assert.deepEqual(fixture.sink.events, ["add 6", "remove", "add 6"]);
      await bed.ip(bed.pod, `addr del ${other}/24 dev eth0`);
      await fixture.reportedState("pending", /holds 10.77.0.2, .*, not the pod's 10.77.0.3/);
    });

    it("and rules of others in the pod are left alone", async () => {
      await bed.nft(bed.pod, "add table inet own\nadd chain inet own c\nadd table ip nat\n");
      await bed.nft(bed.pod, "delete table inet istio-ambient-nat\n");
      await fixture.untilRepaired("rules-missing");
      const rules = await fixture.rulesOfPod();
      assert.match(rules, /table inet own/);
      assert.match(rules, /table ip nat/);
      fixture.manager.apply([], [POD.uid]);
      await fixture.reportedState("disabled");
      const isGone = async () => !/istio/.test(await fixture.rulesOfPod());
      await fixture.until(isGone, "waited for no rules of ours");
      assert.match(await fixture.rulesOfPod(), /table inet own/);
    });
  });

  for (const [name, target] of [
    ["IPv4", CLIENT_IPV4],
    ["IPv6", CLIENT_IPV6],
  ] as const) {
    const dial = () => bed.connect(bed.pod, { ip: target, port: APP_PORT });

    it(`keeps its older and its captured connections through a repair (${name})`, async () => {
      const older = await dial();
      fixture = new CaptureFixture(bed, NO_CHECKS_MS);
      fixture.sink.hold = (socket) => socket.write("captured");
      await fixture.capture();
      const captured = await dial();
      await bed.nft(bed.pod, "flush chain inet istio-ambient-nat istio-output\n");
      await fixture.untilRepaired("rules-missing");
      assert.equal(fixture.manager.counters().endedConnections, 0);
      assert.deepEqual([older.destroyed, captured.destroyed], [false, false]);
      assert.equal(await firstWord(captured), "captured");
      assert.equal(await firstWord(older), "outside");
      older.destroy();
      captured.destroy();
    });

    it(`loses the connections that it opened without its rules (${name})`, async () => {
      fixture = new CaptureFixture(bed, NO_CHECKS_MS);
      await fixture.capture();
      const old = fixture.replace();
      await old.manager.close();
      await bed.nft(bed.pod, "flush ruleset\n");
      const opened = await dial();
      assert.equal(await firstWord(opened), "outside");
      const end = new Promise<NodeJS.ErrnoException>((resolve) => opened.once("error", resolve));
      await fixture.capture();
      assert.equal((await end).code, "ECONNABORTED");
      assert.equal(fixture.manager.counters().endedConnections, 1);
      assert.equal(fixture.repairs("rules-missing"), 1);
      assert.equal(await fixture.outbound(), "15001");
      await old.sink.remove(POD.uid);
    });
  }

  describe("is mended by looking at it now and then", () => {
    beforeEach(async () => {
      fixture = new CaptureFixture(bed, OFTEN_MS);
      await fixture.capture();
    });

    it("when a listener dies", async () => {
      await fixture.sink.lose(POD.uid);
      await fixture.untilRepaired("listener-lost");
      assert.deepEqual(fixture.sink.events, ["add 6", "add 6"], "its connections go on");
      assert.equal(await fixture.outbound(), "15001");
    });

    it("when another process listens on a port of ours", async () => {
      await bed.serve(bed.pod, "127.0.0.1", 15001, (socket) => socket.end("thief"));
      await fixture.untilRepaired("listener-taken");
      assert.equal(await fixture.outbound(), "15001");
      assert.deepEqual(fixture.sink.events, ["add 6"]);
    });

    it("but not because a second ztunnel listens there too", async () => {
      const old = fixture.replace();
      await fixture.capture();
      await delay(OFTEN_MS * 4);
      assert.equal(fixture.repairs("listener-taken") + fixture.repairs("rules-changed"), 0);
      assert.equal(old.manager.counters().repairs.size, 0);
      await old.manager.close();
      await old.sink.remove(POD.uid);
    });
  });

  it("is left to a later ztunnel with other rules, for as long as that is there", async () => {
    fixture = new CaptureFixture(bed, OFTEN_MS);
    await fixture.capture();
    const old = fixture.replace();
    // Rules of another version, as the old one sees them.
    await fixture.capture({ ...POD, bypassInboundCapture: true });
    const rules = await fixture.rulesOfPod();
    await delay(OFTEN_MS * 6);
    assert.equal(await fixture.rulesOfPod(), rules);
    assert.equal(old.manager.counters().repairs.size, 0);
    assert.equal(fixture.manager.counters().repairs.size, 0);
    await fixture.manager.close();
    await fixture.sink.remove(POD.uid);
    const repaired = () => old.manager.counters().repairs.get("rules-missing") === 1;
    await fixture.until(repaired, "waited for the old one to take the pod back");
    assert.notEqual(await fixture.rulesOfPod(), rules);
    await old.manager.close();
    await old.sink.remove(POD.uid);
  });

  it("is not fought over without end: the one who flushes is named on the pod", async () => {
    fixture = new CaptureFixture(bed, OFTEN_MS);
    await fixture.capture();
    let flushing = true;
    const flusher = (async () => {
      while (flushing) await bed.nft(bed.pod, "flush ruleset\n");
    })();
    try {
      await fixture.reportedState(
        "enabled",
        /lost again and again.*(tables are gone|were changed)/,
      );
    } finally {
      flushing = false;
      await flusher;
    }
    const said = fixture.logged.filter((line) => line.includes("keeps taking a pod's capture"));
    assert.equal(said.length, 1);
    assert.ok(fixture.repairs("rules-missing") <= 20);
    await fixture.until(async () => /istio-ambient-nat/.test(await fixture.rulesOfPod()), "rules");
  });
});

function firstWord(socket: net.Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once("data", (data) => resolve(String(data)));
    socket.once("close", () => resolve("closed"));
  });
}
