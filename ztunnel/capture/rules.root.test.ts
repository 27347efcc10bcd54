import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type net from "node:net";
import { after, before, describe, it } from "node:test";
import { parseIp } from "#common/model/ip.ts";
import {
  CLIENT_IPV4,
  CLIENT_IPV6,
  NamespaceTestbed,
  POD_IPV4,
  POD_IPV6,
} from "./namespace-testbed.ts";
import { checkRules, installRules, removeRules } from "./pod-rules.ts";
import { PROBE_SOURCE_IPV4, ZTUNNEL_MARK } from "./rules.ts";
import { runInNetnsOrThrow } from "./run-in-netns.ts";

const APP_PORT = 8080;
const LIST = "list ruleset inet\n";
const BOTH_FAMILIES = [
  { name: "IPv4", pod: POD_IPV4, client: CLIENT_IPV4, loopback: "127.0.0.1" },
  { name: "IPv6", pod: POD_IPV6, client: CLIENT_IPV6, loopback: "::1" },
] as const;

const inPod = (...nft: string[]) => {
  return (bed: NamespaceTestbed) => bed.nft(bed.pod, `${nft.join("\n")}\n`);
};
const ip = (...args: string[]) => {
  return (bed: NamespaceTestbed) =>
    runInNetnsOrThrow(bed.sys, bed.pod.netns, { command: "ip", args });
};
/** What can happen to rules, and what is said of it. */
const LOSSES: readonly [string, (bed: NamespaceTestbed) => Promise<unknown>, string[]][] = [
  ["everything is flushed", inPod("flush ruleset"), ["rules-missing"]],
  ["a table is deleted", inPod("delete table inet istio-ambient-raw"), ["rules-missing"]],
  [
    "a chain is flushed",
    inPod("flush chain inet istio-ambient-nat istio-prerouting"),
    ["rules-missing"],
  ],
  [
    "a rule is added before ours",
    inPod("insert rule inet istio-ambient-nat istio-output accept"),
    ["rules-changed"],
  ],
  [
    "a table sleeps",
    inPod("add table inet istio-ambient-nat { flags dormant; }"),
    ["rules-changed"],
  ],
  [
    "a chain is added that is asked first",
    inPod("add chain inet istio-ambient-nat early { type nat hook output priority -150; }"),
    ["rules-changed"],
  ],
  ["the IPv4 rule is deleted", ip("rule", "del", "pref", "32764"), ["policy-route"]],
  ["the IPv6 rule is deleted", ip("-6", "rule", "del", "pref", "32764"), ["policy-route"]],
  ["the route is flushed", ip("route", "flush", "table", "100"), ["policy-route"]],
];

/** Answers with who listens and what the connection looked like, then closes. */
function identify(bed: NamespaceTestbed, listener: string): (socket: net.Socket) => void {
  return (socket) => {
    const handle = (socket as unknown as { _handle: { fd: number } })._handle;
    const peer = parseIp(socket.remoteAddress ?? "");
    const family = peer?.includes(":") ? "ipv6" : "ipv4";
    const original = bed.sys.originalDestination(handle.fd, family);
    socket.end(`${listener} from ${peer} to ${original?.ip} ${original?.port}`);
  };
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [chunk] = await once(child.stdout as NodeJS.ReadableStream, "data");
  return String(chunk).trim();
}

describe("the rules of a captured pod", () => {
  let bed: NamespaceTestbed;
  /** While set, redirected connections are handed over and stay open. */
  let hold: ((socket: net.Socket) => void) | undefined;

  before(async () => {
    bed = await NamespaceTestbed.create();
    const { pod, client } = bed;
    for (const port of [15001, 15006, 15008]) {
      const answer = identify(bed, String(port));
      await bed.serve(pod, "::", port, (socket) => (hold ?? answer)(socket), ZTUNNEL_MARK);
    }
    await bed.serve(pod, "::", APP_PORT, identify(bed, "app"));
    await bed.serve(client, "::", APP_PORT, identify(bed, "client's app"));
    await installRules(bed, pod.netns, { ipv6: true, bypassInboundCapture: false });
  });

  after(() => bed.close());

  for (const { name, pod, client, loopback } of BOTH_FAMILIES) {
    it(`send outbound connections to 15001 with their destination (${name})`, async () => {
      const answer = await bed.ask(bed.pod, { ip: client, port: APP_PORT });
      const source = name === "IPv4" ? POD_IPV4 : POD_IPV6;
      assert.equal(answer, `15001 from ${source} to ${client} ${APP_PORT}`);
    });

    it(`send outbound connections to port 15008 of others to 15001 too (${name})`, async () => {
      const answer = await bed.ask(bed.pod, { ip: client, port: 15008 });
      assert.match(answer, new RegExp(`^15001 .* to ${client} 15008$`));
    });

    it(`send inbound plaintext to 15006 with its destination (${name})`, async () => {
      const answer = await bed.ask(bed.client, { ip: pod, port: APP_PORT });
      assert.equal(answer, `15006 from ${client} to ${pod} ${APP_PORT}`);
    });

    it(`leave HBONE on 15008 (${name})`, async () => {
      assert.match(await bed.ask(bed.client, { ip: pod, port: 15008 }), /^15008 /);
    });

    it(`leave marked traffic alone (${name})`, async () => {
      const options = { ip: client, port: APP_PORT, mark: ZTUNNEL_MARK };
      assert.match(await bed.ask(bed.pod, options), /^client's app /);
    });

    it(`leave calls to the pod's own address and to loopback alone (${name})`, async () => {
      assert.match(await bed.ask(bed.pod, { ip: pod, port: APP_PORT }), /^app /);
      assert.match(await bed.ask(bed.pod, { ip: loopback, port: APP_PORT }), /^app /);
    });

    it(`bring replies back to a socket with a client's address (${name})`, async () => {
      const options = { ip: pod, port: APP_PORT, source: client, mark: ZTUNNEL_MARK };
      assert.equal(await bed.ask(bed.pod, options), `app from ${client} to ${pod} ${APP_PORT}`);
    });
  }

  it("refuse what conntrack takes for a connection that nobody redirected", async () => {
    await bed.nft(bed.pod, "flush chain inet istio-ambient-nat istio-output\n");
    const call = bed.ask(bed.pod, { ip: CLIENT_IPV4, port: APP_PORT });
    await assert.rejects(call, { code: "ECONNREFUSED" });
    const marked = { ip: CLIENT_IPV4, port: APP_PORT, mark: ZTUNNEL_MARK };
    assert.match(await bed.ask(bed.pod, marked), /^client's app /);
    await installRules(bed, bed.pod.netns, { ipv6: true, bypassInboundCapture: false });
  });

  it("tell a spoofed connection from the redirected one that has the same port", async () => {
    const setPortRange = (range: string) => {
      bed.sysctl(bed.pod, "net/ipv4/ip_local_port_range", range);
      bed.sysctl(bed.client, "net/ipv4/ip_local_port_range", range);
    };
    const accepted = Promise.withResolvers<net.Socket>();
    hold = accepted.resolve;
    setPortRange("40000 40000");
    const redirected = await bed.connect(bed.client, { ip: POD_IPV4, port: APP_PORT });
    const options = { ip: POD_IPV4, port: APP_PORT, source: CLIENT_IPV4, mark: ZTUNNEL_MARK };
    assert.match(await bed.ask(bed.pod, options), /^app /);
    setPortRange("32768 60999");
    hold = undefined;
    (await accepted.promise).end("still here");
    assert.equal(String((await once(redirected, "data"))[0]), "still here");
  });

  it("let the node's probes through to the app", async () => {
    const probe = { ip: POD_IPV4, port: APP_PORT, source: PROBE_SOURCE_IPV4 };
    await bed.ip(bed.node, `addr add ${PROBE_SOURCE_IPV4}/32 dev lo`);
    assert.match(await bed.ask(bed.node, probe), /^app from 169.254.7.127 /);
  });

  it("leave UDP alone", async () => {
    const echo =
      "const s = require('dgram').createSocket('udp4');" +
      "s.on('message', (m, r) => s.send(m, r.port, r.address));" +
      `s.bind(5353, '${CLIENT_IPV4}', () => console.log('up'))`;
    const ask =
      "const s = require('dgram').createSocket('udp4');" +
      "s.on('message', (m, r) => { console.log(m + ' ' + r.address); s.close() });" +
      `s.send('hello', 5353, '${CLIENT_IPV4}')`;
    await firstLine(bed.spawnIn(bed.client, process.execPath, ["-e", echo]));
    const answer = await firstLine(bed.spawnIn(bed.pod, process.execPath, ["-e", ask]));
    assert.equal(answer, `hello ${CLIENT_IPV4}`);
  });

  it("are the same after they have been applied again", async () => {
    const { pod } = bed;
    const options = { ipv6: true, bypassInboundCapture: false };
    const rules = () => runInNetnsOrThrow(bed.sys, pod.netns, { command: "ip", args: ["rule"] });
    const before = { listing: await bed.nft(pod, LIST), rules: await rules() };
    await installRules(bed, pod.netns, options);
    assert.deepEqual({ listing: await bed.nft(pod, LIST), rules: await rules() }, before);
  });

  for (const [what, break_, reasons] of LOSSES) {
    it(`are seen to be not as they were: ${what}`, async () => {
      const { pod } = bed;
      const options = { ipv6: true, bypassInboundCapture: false };
      const installed = await installRules(bed, pod.netns, options);
      assert.deepEqual(checkRules(bed, pod.netns, installed, true).problems, []);
      await break_(bed);
      const { problems } = checkRules(bed, pod.netns, installed, true);
      assert.deepEqual(
        problems.map(({ reason }) => reason),
        reasons,
      );
      const repaired = await installRules(bed, pod.netns, options);
      assert.deepEqual(checkRules(bed, pod.netns, repaired, true).problems, []);
      assert.deepEqual(repaired.tables, installed.tables);
    });
  }

  it("cannot be put in place where another policy rule comes first, and say so", async () => {
    const { pod } = bed;
    const options = { ipv6: true, bypassInboundCapture: false };
    const installed = await installRules(bed, pod.netns, options);
    await bed.ip(pod, "rule add fwmark 0x111/0xfff pref 100 lookup main");
    const { problems } = checkRules(bed, pod.netns, installed, true);
    assert.equal(problems[0]?.found, "the ipv4 policy rule or its route is gone");
    const failure = { code: "POLICY_ROUTE_NOT_IN_EFFECT", hint: /ip -4 rule/ };
    await assert.rejects(installRules(bed, pod.netns, options), failure);
    await bed.ip(pod, "rule del pref 100");
    assert.deepEqual(checkRules(bed, pod.netns, installed, true).problems, []);
  });

  it("redirect nothing inbound with bypass-inbound-capture, but bring replies back", async () => {
    const { pod } = bed;
    await installRules(bed, pod.netns, { ipv6: true, bypassInboundCapture: true });
    assert.match(await bed.ask(bed.client, { ip: POD_IPV4, port: APP_PORT }), /^app /);
    const spoofed = { ip: POD_IPV4, port: APP_PORT, source: CLIENT_IPV4, mark: ZTUNNEL_MARK };
    assert.match(await bed.ask(pod, spoofed), /^app from 10.78.0.2 /);
    assert.match(await bed.ask(pod, { ip: CLIENT_IPV4, port: APP_PORT }), /^15001 /);
  });

  it("are gone after removal, and connections take their own way again", async () => {
    await removeRules(bed, bed.pod.netns);
    assert.equal(await bed.nft(bed.pod, "list ruleset\n"), "");
    assert.match(await bed.ask(bed.client, { ip: POD_IPV4, port: APP_PORT }), /^app /);
    assert.match(await bed.ask(bed.pod, { ip: CLIENT_IPV6, port: APP_PORT }), /^client's app /);
  });
});
