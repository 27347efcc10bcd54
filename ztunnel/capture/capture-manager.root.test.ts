import assert from "node:assert/strict";
import fs from "node:fs";
import type net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { CapturedPod, PodReport } from "#common/model/captured-pod.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { CaptureManager } from "./capture-manager.ts";
import { HostProbes } from "./host-probes.ts";
import type { ListenerSink, PodListeners } from "./listener-sink.ts";
import { CLIENT_IPV4, NamespaceTestbed, POD_IPV4, POD_IPV6 } from "./namespace-testbed.ts";
import { SandboxDirectoryFinder } from "./pod-netns.ts";

const POD: CapturedPod = {
  uid: "11111111-2222-3333-4444-555555555555",
  name: "web-0",
  namespace: "shop",
  serviceAccount: "web",
  ips: [POD_IPV4, POD_IPV6],
  workloadUid: "Kubernetes//Pod/shop/web-0",
  bypassInboundCapture: false,
  dnsCapture: false,
};
const APP_PORT = 8080;
const CHECK_INTERVAL_MS = 50;
const WAIT_MS = 10_000;

/** A proxy that says which port a connection came in on. */
class AnsweringSink implements ListenerSink {
  readonly events: string[] = [];
  failNextAdd = false;
  readonly #bed: NamespaceTestbed;
  readonly #servers = new Map<string, net.Server[]>();

  constructor(bed: NamespaceTestbed) {
    this.#bed = bed;
  }

  async add(pod: CapturedPod, _netns: unknown, listeners: PodListeners): Promise<void> {
    const ports = { outbound: 15001, inboundPlaintext: 15006, hbone: 15008 } as const;
    const servers: net.Server[] = [];
    this.#servers.set(pod.uid, servers);
    for (const kind of ["outbound", "inboundPlaintext", "hbone"] as const) {
      for (const fd of listeners[kind]) {
        servers.push(await this.#bed.serveDescriptor(fd, (s) => s.end(String(ports[kind]))));
      }
    }
    if (this.failNextAdd) {
      this.failNextAdd = false;
      throw new Error("no worker");
    }
    this.events.push(`add ${servers.length}`);
  }

  async remove(podUid: string): Promise<void> {
    const servers = this.#servers.get(podUid) ?? [];
    this.#servers.delete(podUid);
    await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
    this.events.push("remove");
  }
}

describe("the capture of a node's pods", () => {
  let bed: NamespaceTestbed;
  let directory: string;
  let sink: AnsweringSink;
  let manager: CaptureManager;
  let reported: PodReport[];

  const createManager = () => {
    sink = new AnsweringSink(bed);
    reported = [];
    return new CaptureManager({
      sys: bed.sys,
      finder: new SandboxDirectoryFinder(bed.sys, directory),
      sink,
      probes: new HostProbes(bed.sys, bed.node.netns),
      log: createLogger({ level: "error", format: "text", write: () => undefined }),
      workers: 2,
      report: (changes) => reported.push(...changes),
      checkIntervalMs: CHECK_INTERVAL_MS,
    });
  };
  const sandbox = (uid: string, pid: number) =>
    fs.writeFileSync(path.join(directory, uid), `${pid}\n`);
  const until = async (condition: () => boolean | Promise<boolean>, what: string) => {
    const deadline = Date.now() + WAIT_MS;
    while (!(await condition())) {
      if (Date.now() > deadline) assert.fail(`${what}; reported: ${JSON.stringify(reported)}`);
      await delay(10);
    }
  };
  const reportedState = async (state: PodReport["state"], message = /^/) =>
    until(() => {
      const last = reported.at(-1);
      return last?.state === state && message.test(last.message);
    }, `waited for ${state} ${message}`);
  const outbound = () => bed.ask(bed.pod, { ip: CLIENT_IPV4, port: APP_PORT });
  const rulesOfPod = () => bed.nft(bed.pod, "list ruleset\n");
  const capture = async () => {
    sandbox(POD.uid, bed.pod.pid);
    manager.apply([POD], []);
    await reportedState("enabled");
  };

  before(async () => {
    bed = await NamespaceTestbed.create();
    await bed.serve(bed.client, "::", APP_PORT, (socket) => socket.end("outside"));
  });
  after(() => bed.close());
  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), "pod-sandboxes-"));
    manager = createManager();
  });
  afterEach(async () => {
    await manager.close();
    await sink.remove(POD.uid);
    await bed.nft(bed.pod, "flush ruleset\n");
    fs.rmSync(directory, { recursive: true });
  });

  it("redirects a wanted pod to every worker's listeners, and reports it once", async () => {
    await capture();
    assert.equal(await outbound(), "15001");
    assert.equal(await bed.ask(bed.client, { ip: POD_IPV4, port: APP_PORT }), "15006");
    assert.deepEqual(sink.events, ["add 6"]);
    assert.deepEqual(manager.counters(), { captured: 1, pending: 0, repairs: 0, failures: 0 });
    await delay(CHECK_INTERVAL_MS * 3);
    assert.equal(reported.length, 1);
  });

  it("lets the node's probes through before it redirects anything", async () => {
    await capture();
    const probe = bed.ask(bed.node, { ip: POD_IPV4, port: APP_PORT });
    await assert.rejects(probe, { code: "ECONNREFUSED" });
  });

  it("gives a pod that is no longer wanted its own network back", async () => {
    await capture();
    manager.apply([], [POD.uid]);
    await reportedState("disabled");
    assert.equal(await rulesOfPod(), "");
    assert.equal(await outbound(), "outside");
    assert.deepEqual(sink.events, ["add 6", "remove"]);
    const refused = bed.connect(bed.pod, { ip: "127.0.0.1", port: 15001 });
    await assert.rejects(refused, { code: "ECONNREFUSED" });
    assert.deepEqual(manager.reports(), []);
  });

  it("puts lost rules back and counts it", async () => {
    await capture();
    await bed.nft(bed.pod, "flush ruleset\n");
    await until(() => manager.counters().repairs === 1, "waited for a repair");
    assert.equal(await outbound(), "15001");
    assert.deepEqual(sink.events, ["add 6"]);
  });

  it("captures a pod as soon as its sandbox appears", async () => {
    manager.apply([POD], []);
    await reportedState("pending", /no sandbox on this node/);
    manager.setSnapshotComplete();
    assert.equal(manager.isSettled(), true);
    sandbox(POD.uid, bed.pod.pid);
    await reportedState("enabled");
  });

  it("does nothing in a namespace that does not hold the pod's addresses", async () => {
    sandbox(POD.uid, bed.client.pid);
    manager.apply([POD], []);
    await reportedState("pending", /holds 10\.78\.0\.2, .*, not the pod's 10\.77\.0\.2/);
    assert.equal(await bed.nft(bed.client, "list ruleset\n"), "");
    sandbox(POD.uid, process.pid);
    await reportedState("pending", /shares the node's network namespace/);
    assert.deepEqual(sink.events, []);
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
    sandbox(POD.uid, first.pid);
    manager.apply([{ ...POD, ips }], []);
    await reportedState("enabled");
    sandbox(POD.uid, second.pid);
    await until(() => sink.events.length === 3, "waited for the move");
    assert.deepEqual(sink.events, ["add 6", "remove", "add 6"]);
    await until(async () => (await bed.nft(second, "list ruleset\n")) !== "", "waited for rules");
  });

  it("lets go of a pod whose sandbox has ended, and leaves its rules alone", async () => {
    await capture();
    fs.rmSync(path.join(directory, POD.uid));
    await reportedState("pending", /no sandbox/);
    assert.deepEqual(sink.events, ["add 6", "remove"]);
    manager.apply([], [POD.uid]);
    await reportedState("disabled");
    assert.notEqual(await rulesOfPod(), "");
  });

  it("leaves the rules of a pod alone that ends and is removed at once", async () => {
    await capture();
    fs.rmSync(path.join(directory, POD.uid));
    manager.apply([], [POD.uid]);
    await reportedState("disabled");
    assert.notEqual(await rulesOfPod(), "");
    assert.deepEqual(sink.events, ["add 6", "remove"]);
  });

  it("tries again when the proxy did not take the listeners", async () => {
    sink.failNextAdd = true;
    await capture();
    assert.equal(reported[0]?.message, "no worker");
    assert.deepEqual(sink.events, ["remove", "add 6"]);
    assert.equal(await outbound(), "15001");
  });

  it("captures a pod without IPv6 by IPv4 alone", async () => {
    for (const name of ["eth0", "lo"])
      bed.sysctl(bed.pod, `net/ipv6/conf/${name}/disable_ipv6`, "1");
    await capture();
    assert.equal(await outbound(), "15001");
    assert.ok(!(await rulesOfPod()).includes("ip6"));
    for (const name of ["lo", "eth0"])
      bed.sysctl(bed.pod, `net/ipv6/conf/${name}/disable_ipv6`, "0");
    await until(async () => (await rulesOfPod()).includes("ip6"), "waited for IPv6 rules");
    assert.deepEqual(sink.events, ["add 6", "remove", "add 6"]);
    await bed.ip(bed.pod, "addr replace fd77::2/64 dev eth0", "route replace default via fd77::1");
  });

  it("leaves everything in place at its end, for the next process to take over", async () => {
    await capture();
    const rules = await rulesOfPod();
    const old = { manager, sink };
    manager = createManager();
    manager.setSnapshotComplete();
    await delay(CHECK_INTERVAL_MS * 2);
    assert.equal(await rulesOfPod(), rules, "an empty snapshot releases nothing");
    await capture();
    await old.manager.close();
    await old.sink.remove(POD.uid);
    assert.equal(await rulesOfPod(), rules);
    assert.equal(await outbound(), "15001");
  });
});
