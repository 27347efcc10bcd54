import assert from "node:assert/strict";
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
import { installRules, removeRules } from "./pod-rules.ts";
import { ZTUNNEL_MARK } from "./rules.ts";

const APP_PORT = 8080;
const BOTH_FAMILIES = [
  { name: "IPv4", pod: POD_IPV4, client: CLIENT_IPV4, loopback: "127.0.0.1" },
  { name: "IPv6", pod: POD_IPV6, client: CLIENT_IPV6, loopback: "::1" },
] as const;

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

describe("the rules of a captured pod", () => {
  let bed: NamespaceTestbed;

  before(async () => {
    bed = await NamespaceTestbed.create();
    const { pod, client } = bed;
    for (const port of [15001, 15006, 15008]) {
      await bed.serve(pod, "::", port, identify(bed, String(port)), ZTUNNEL_MARK);
    }
    await bed.serve(pod, "::", APP_PORT, identify(bed, "app"));
    await bed.serve(client, "::", APP_PORT, identify(bed, "client's app"));
    await installRules(bed.sys, pod.netns, { ipv6: true, bypassInboundCapture: false });
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

    it(`bring replies back to a socket with a client's address as its source (${name})`, async () => {
      const options = { ip: pod, port: APP_PORT, source: client, mark: ZTUNNEL_MARK };
      assert.equal(await bed.ask(bed.pod, options), `app from ${client} to ${pod} ${APP_PORT}`);
    });
  }

  it("carry a spoofed connection with the very port of the client's redirected one", async () => {
    bed.sysctl(bed.pod, "net/ipv4/ip_local_port_range", "40000 40001");
    bed.sysctl(bed.client, "net/ipv4/ip_local_port_range", "40000 40001");
    const inbound = Promise.withResolvers<net.Socket>();
    await bed.serve(bed.client, "::", 9000, (socket) => socket.end());
    const held: net.Socket[] = [];
    for (let i = 0; i < 2; i++)
      held.push(await bed.connect(bed.client, { ip: POD_IPV4, port: 15008 }));
    inbound.resolve(held[0] as net.Socket);
    bed.sysctl(bed.pod, "net/ipv4/ip_local_port_range", "32768 60999");
    bed.sysctl(bed.client, "net/ipv4/ip_local_port_range", "32768 60999");
  });

  it("leave UDP alone", async () => {
    const { createSocket } = await import("node:dgram");
    const server = bed.sys.inNetns(bed.client.netns, () => createSocket("udp4"));
    await once(server.bind(5353, CLIENT_IPV4), "listening");
    server.close();
  });

  it("are gone after removal, and connections take their own way again", async () => {
    await removeRules(bed.sys, bed.pod.netns);
    assert.equal(await bed.nft(bed.pod, "list ruleset\n"), "");
    assert.match(await bed.ask(bed.client, { ip: POD_IPV4, port: APP_PORT }), /^app /);
    assert.match(await bed.ask(bed.pod, { ip: CLIENT_IPV6, port: APP_PORT }), /^client's app /);
  });
});
