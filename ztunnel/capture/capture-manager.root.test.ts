import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { IpAddress } from "#common/model/ip.ts";
import { APP_PORT, CaptureFixture, POD } from "./capture-fixture.ts";
import { RETIREMENT_MS } from "./limits.ts";
import { NamespaceTestbed, POD_IPV4 } from "./namespace-testbed.ts";

const CHECK_INTERVAL_MS = 50;

describe("the capture of a node's pods", () => {
  let bed: NamespaceTestbed;
  let fixture: CaptureFixture;

  before(async () => {
    bed = await NamespaceTestbed.create();
    await bed.serve(bed.client, "::", APP_PORT, (socket) => socket.end("outside"));
  });
  after(() => bed.close());
  beforeEach(() => {
    fixture = new CaptureFixture(bed, CHECK_INTERVAL_MS);
  });
  afterEach(() => fixture.close());

  it("redirects a wanted pod to every worker's listeners, and reports it once", async () => {
    await fixture.capture();
    assert.equal(await fixture.outbound(), "15001");
    assert.equal(await bed.ask(bed.client, { ip: POD_IPV4, port: APP_PORT }), "15006");
    assert.deepEqual(fixture.sink.events, ["add 6"]);
    const { captured, pending, repairs, failures } = fixture.manager.counters();
    assert.deepEqual({ captured, pending, failures }, { captured: 1, pending: 0, failures: 0 });
    assert.equal(repairs.size, 0);
    await delay(CHECK_INTERVAL_MS * 3);
    assert.equal(fixture.reported.length, 1);
  });

  it("lets the node's probes through before it redirects anything", async () => {
    await fixture.capture();
    const probe = bed.ask(bed.node, { ip: POD_IPV4, port: APP_PORT });
    await assert.rejects(probe, { code: "ECONNREFUSED" });
  });

  it("gives a pod that is no longer wanted its own network back", async () => {
    await fixture.capture();
    fixture.manager.apply([], [POD.uid]);
    await fixture.reportedState("disabled");
    assert.equal(await fixture.outbound(), "outside");
    await fixture.until(async () => (await fixture.rulesOfPod()) === "", "waited for no rules");
    assert.deepEqual(fixture.sink.events, ["add 6", "remove"]);
    assert.equal(fixture.reported.length, 2);
    const refused = bed.connect(bed.pod, { ip: "127.0.0.1", port: 15001 });
    await assert.rejects(refused, { code: "ECONNREFUSED" });
    assert.deepEqual(fixture.manager.reports(), []);
  });

  it("serves one for a while whose senders have not heard of that", async () => {
    fixture.sink.hold = (socket) => socket.write("captured");
    await fixture.capture();
    fixture.manager.apply([], [POD.uid]);
    await fixture.reportedState("disabled");
    const tunnel = await bed.connect(bed.client, { ip: POD_IPV4, port: 15008 });
    const [word] = await once(tunnel, "data");
    assert.equal(String(word), "captured");
    await once(tunnel, "close");
    await fixture.until(() => fixture.sink.events.at(-1) === "remove", "waited for its end");
  });

  it("goes on with one that is wanted again meanwhile, which is no repair", async () => {
    await fixture.capture();
    fixture.manager.apply([], [POD.uid]);
    await fixture.reportedState("disabled");
    await fixture.capture();
    assert.equal(await fixture.outbound(), "15001");
    assert.equal(fixture.manager.counters().repairs.size, 0);
    await delay(RETIREMENT_MS + CHECK_INTERVAL_MS * 2);
    assert.equal(await fixture.outbound(), "15001");
    assert.deepEqual(fixture.sink.events, ["add 6"]);
  });

  it("leaves nothing in a pod that is leaving the mesh when the process ends", async () => {
    await fixture.capture();
    fixture.manager.apply([], [POD.uid]);
    await fixture.reportedState("disabled");
    await fixture.manager.stop();
    assert.equal(await fixture.rulesOfPod(), "");
    const read = () => fs.readFileSync("/proc/sys/net/ipv4/tcp_migrate_req", "utf8").trim();
    assert.equal(bed.sys.inNetns(bed.pod.netns, read), "0");
  });

  it("captures a pod as soon as its sandbox appears", async () => {
    fixture.manager.apply([POD], []);
    await fixture.reportedState("pending", /no sandbox on this node/);
    fixture.manager.setSnapshotComplete();
    assert.equal(fixture.manager.isSettled(), true);
    fixture.sandbox(POD.uid, bed.pod.pid);
    await fixture.reportedState("enabled");
  });

  it("does nothing in a namespace that does not hold the pod's addresses", async () => {
    fixture.sandbox(POD.uid, bed.client.pid);
    fixture.manager.apply([POD], []);
    await fixture.reportedState("pending", /holds 10\.78\.0\.2, .*, not the pod's 10\.77\.0\.2/);
    assert.equal(await bed.nft(bed.client, "list ruleset\n"), "");
    fixture.sandbox(POD.uid, process.pid);
    await fixture.reportedState("pending", /shares the node's network namespace/);
    assert.deepEqual(fixture.sink.events, []);
  });

  it("moves to the new namespace of a pod that was created again", async () => {
    const ips = ["192.0.2.1" as IpAddress];
    const [first, second] = [await bed.bareNamespace(), await bed.bareNamespace()];
    for (const namespace of [first, second]) {
      const link = [
        "link add eth0 type veth peer name eth1",
        "addr add 192.0.2.1/32 dev eth0",
        "link set eth0 up",
        "link set eth1 up",
      ];
      await bed.ip(namespace, ...link);
    }
    fixture.sandbox(POD.uid, first.pid);
    fixture.manager.apply([{ ...POD, ips }], []);
    await fixture.reportedState("enabled");
    fixture.sandbox(POD.uid, second.pid);
    await fixture.until(() => fixture.sink.events.length === 3, "waited for the move");
    assert.deepEqual(fixture.sink.events, ["add 6", "remove", "add 6"]);
    await fixture.until(
      async () => (await bed.nft(second, "list ruleset\n")) !== "",
      "waited for rules",
    );
  });

  it("lets go of a pod whose sandbox has ended, and leaves its rules alone", async () => {
    await fixture.capture();
    fs.rmSync(path.join(fixture.directory, POD.uid));
    await fixture.reportedState("pending", /no sandbox/);
    assert.deepEqual(fixture.sink.events, ["add 6", "remove"]);
    const probes = await bed.nft(bed.node, "list table inet istio-ambient-nat\n");
    assert.ok(!probes.includes(POD_IPV4), "another pod may get its address");
    fixture.manager.apply([], [POD.uid]);
    await fixture.reportedState("disabled");
    assert.notEqual(await fixture.rulesOfPod(), "");
  });

  it("leaves the rules of a pod alone that ends and is removed at once", async () => {
    await fixture.capture();
    fs.rmSync(path.join(fixture.directory, POD.uid));
    fixture.manager.apply([], [POD.uid]);
    await fixture.reportedState("disabled");
    assert.notEqual(await fixture.rulesOfPod(), "");
    assert.deepEqual(fixture.sink.events, ["add 6", "remove"]);
  });

  it("tries again when the proxy did not take the listeners", async () => {
    fixture.sink.failNextAdd = true;
    await fixture.capture();
    assert.match(fixture.logged.join(""), /pod is not captured yet.*"no worker"/);
    assert.deepEqual(fixture.sink.events, ["remove", "add 6"]);
    assert.equal(await fixture.outbound(), "15001");
  });

  it("captures a pod without IPv6 by IPv4 alone", async () => {
    for (const name of ["eth0", "lo"])
      bed.sysctl(bed.pod, `net/ipv6/conf/${name}/disable_ipv6`, "1");
    await fixture.capture();
    assert.equal(await fixture.outbound(), "15001");
    assert.ok(!(await fixture.rulesOfPod()).includes("ip6"));
    for (const name of ["lo", "eth0"])
      bed.sysctl(bed.pod, `net/ipv6/conf/${name}/disable_ipv6`, "0");
    await fixture.until(
      async () => (await fixture.rulesOfPod()).includes("ip6"),
      "waited for IPv6 rules",
    );
    assert.deepEqual(fixture.sink.events, ["add 6", "remove", "add 6"]);
    await bed.ip(bed.pod, "addr replace fd77::2/64 dev eth0", "route replace default via fd77::1");
  });

  it("leaves everything in place at its end, for the next process to take over", async () => {
    await fixture.capture();
    const rules = await fixture.rulesOfPod();
    const old = fixture.replace();
    fixture.manager.setSnapshotComplete();
    await delay(CHECK_INTERVAL_MS * 2);
    assert.equal(await fixture.rulesOfPod(), rules, "an empty snapshot releases nothing");
    await fixture.capture();
    await old.manager.close();
    await old.sink.remove(POD.uid);
    assert.equal(await fixture.rulesOfPod(), rules);
    assert.equal(await fixture.outbound(), "15001");
  });
});
