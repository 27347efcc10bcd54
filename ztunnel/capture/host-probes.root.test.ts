import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { parseIp } from "#common/model/ip.ts";
import { HostProbes } from "./host-probes.ts";
import {
  CLIENT_IPV4,
  CLIENT_IPV6,
  NamespaceTestbed,
  POD_IPV4,
  POD_IPV6,
} from "./namespace-testbed.ts";
import { installRules } from "./pod-rules.ts";
import { PROBE_SOURCE_IPV4, PROBE_SOURCE_IPV6, ZTUNNEL_MARK } from "./rules.ts";

const APP_PORT = 8080;
const NODE_IPV4 = "10.77.0.1";

describe("the probe rules of a node", () => {
  let bed: NamespaceTestbed;
  let probes: HostProbes;
  const list = () => bed.nft(bed.node, "list ruleset\n");

  before(async () => {
    bed = await NamespaceTestbed.create();
    const { pod } = bed;
    for (const [name, port, mark] of [
      ["app", APP_PORT, 0],
      ["15006", 15006, ZTUNNEL_MARK],
    ] as const) {
      const answer = (peer = "") => `${name} from ${parseIp(peer)}`;
      await bed.serve(pod, "::", port, (s) => s.end(answer(s.remoteAddress)), mark);
    }
    await installRules(bed, pod.netns, { ipv6: true, bypassInboundCapture: false });
    probes = new HostProbes(bed.sys, bed.node.netns);
    await probes.admit("pod-uid", [POD_IPV4, POD_IPV6]);
  });

  after(() => bed.close());

  it("bring a process of the node to the app, from the probe address", async () => {
    const ask = (ip: string) => bed.ask(bed.node, { ip, port: APP_PORT });
    assert.equal(await ask(POD_IPV4), `app from ${PROBE_SOURCE_IPV4}`);
    assert.equal(await ask(POD_IPV6), `app from ${PROBE_SOURCE_IPV6}`);
  });

  it("leave forwarded connections captured", async () => {
    const ask = (ip: string) => bed.ask(bed.client, { ip, port: APP_PORT });
    assert.equal(await ask(POD_IPV4), `15006 from ${CLIENT_IPV4}`);
    assert.equal(await ask(POD_IPV6), `15006 from ${CLIENT_IPV6}`);
  });

  it("do not take a forwarded packet with the node's own address for the node's", async () => {
    // The forger gets no reply, so what reaches the pod is counted there.
    await bed.nft(
      bed.pod,
      "add table inet watch;" +
        "add chain inet watch in { type filter hook prerouting priority -400; };" +
        `add rule inet watch in ip saddr ${PROBE_SOURCE_IPV4} counter;` +
        `add rule inet watch in ip saddr ${NODE_IPV4} tcp dport ${APP_PORT} counter\n`,
    );
    for (const name of ["all", "veth-client"]) {
      bed.sysctl(bed.node, `net/ipv4/conf/${name}/rp_filter`, "0");
      bed.sysctl(bed.node, `net/ipv4/conf/${name}/accept_local`, "1");
    }
    const forged = { ip: POD_IPV4, port: APP_PORT, source: NODE_IPV4 };
    await assert.rejects(bed.connect(bed.client, forged), { code: "ETIMEDOUT" });
    const watched = await bed.counters(bed.pod, "watch");
    assert.equal(watched[0], 0, "a forged packet was given the probe address");
    assert.ok((watched[1] ?? 0) > 0, "the forged packet never arrived: the test proves nothing");
  });

  it("follow the admitted pods", async () => {
    await probes.withdraw("pod-uid");
    assert.match(await bed.ask(bed.node, { ip: POD_IPV4, port: APP_PORT }), /^15006 /);
    await probes.admit("pod-uid", [POD_IPV4]);
    assert.match(await bed.ask(bed.node, { ip: POD_IPV4, port: APP_PORT }), /^app /);
  });

  it("are put back when they are lost, rules and addresses both", async () => {
    assert.equal(await probes.check(), false);
    await bed.nft(bed.node, "flush ruleset\n");
    assert.equal(await probes.check(), true);
    assert.match(await bed.ask(bed.node, { ip: POD_IPV4, port: APP_PORT }), /^app /);
    await bed.nft(bed.node, "flush set inet istio-ambient-nat istio-inpod-probes-v4\n");
    assert.equal(await probes.check(), true);
    assert.match(await bed.ask(bed.node, { ip: POD_IPV4, port: APP_PORT }), /^app /);
  });

  it("are rebuilt when an update meets sets that someone has emptied", async () => {
    await bed.nft(bed.node, "flush ruleset\n");
    await probes.admit("other-uid", [CLIENT_IPV4]);
    const rules = await list();
    assert.ok(rules.includes(POD_IPV4) && rules.includes(CLIENT_IPV4), rules);
    await probes.withdraw("other-uid");
  });

  it("keep an earlier process's addresses until the wanted pods are known", async () => {
    const next = new HostProbes(bed.sys, bed.node.netns);
    await next.check();
    assert.match(await bed.ask(bed.node, { ip: POD_IPV4, port: APP_PORT }), /^app /);
    await next.admit("other-uid", [CLIENT_IPV4]);
    await next.forgetOthers();
    const rules = await list();
    assert.ok(!rules.includes(POD_IPV4) && rules.includes(CLIENT_IPV4), rules);
    assert.equal(rules.match(/ snat /g)?.length, 2);
    await next.remove();
    assert.equal(await list(), "");
  });
});
