/** DNS of captured pods: what the mesh answers itself, and what passes through it untouched. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import dnsPacket from "dns-packet";
import type { TestCluster } from "#test/support/cluster.ts";
import { DnsSockets } from "#test/support/dns-client.ts";
import { namespace, pod, service } from "#test/support/objects.ts";
import { startMesh } from "#test/support/ztunnel-view.ts";
import { decode, makeAnswer, makeQuery, opt, records } from "#ztunnel/dns/dns-fixtures.ts";

const ANNOTATION = "ambient.istio.io/dns-capture";
const DOMAIN = "svc.cluster.local";
const OBJECTS = [
  namespace("shop", "ambient"),
  namespace("outside", undefined),
  ...pod({ namespace: "shop", name: "client", node: "node1" }),
  ...pod({ namespace: "shop", name: "web", node: "node2" }),
  ...pod({ namespace: "outside", name: "nameserver", node: "node2" }),
  service({ namespace: "shop", name: "web" }),
  service({ namespace: "shop", name: "web-pods", app: "web", headless: true }),
  ...pod({ namespace: "shop", name: "uncaptured", node: "node1" }).map((object) =>
    annotated(object, { [ANNOTATION]: "false" }),
  ),
];

function annotated(object: object, annotations: Readonly<Record<string, string>>): object {
  const { kind, metadata } = object as { kind: string; metadata: object };
  return kind === "Pod" ? { ...object, metadata: { ...metadata, annotations } } : object;
}

describe("DNS of captured pods", () => {
  let cluster: TestCluster;
  let dns: DnsSockets;
  let vips: readonly string[];
  let clusterDns = "";
  let nameserver: Readonly<Record<"ipv4" | "ipv6", string>>;

  before(async () => {
    cluster = await startMesh({ objects: OBJECTS });
    dns = new DnsSockets(cluster);
    vips = (await cluster.find("Service", "shop/web"))?.spec.clusterIPs ?? [];
    clusterDns = (await cluster.find("Service", "kube-system/kube-dns"))?.spec.clusterIP ?? "";
    nameserver = {
      ipv4: await cluster.podIp("outside/nameserver"),
      ipv6: await cluster.podIp("outside/nameserver", "ipv6"),
    };
    const node1 = cluster.ztunnel("node1");
    await cluster.until("node1 knows the services", async () =>
      JSON.stringify(await node1.configDump()).includes(`web-pods.shop.${DOMAIN}`),
    );
  });

  after(async () => {
    dns?.[Symbol.dispose]();
    await cluster?.stop();
  });

  const counted = (name: string, labels: Readonly<Record<string, string>>) =>
    cluster.ztunnel("node1").metric(name, { source_canonical_service: "client", ...labels });

  test("names of services are answered with authority, without a name server", async () => {
    const before = await counted("istio_dns_upstream_requests_total", {});
    for (const [type, vip] of [
      ["A", vips[0]],
      ["AAAA", vips[1]],
    ] as const) {
      const query = makeQuery({ name: `Web.Shop.${DOMAIN}`, type });
      const answer = await dns.ask("shop/client", clusterDns, query);
      assert.deepEqual(records(answer), [`Web.Shop.${DOMAIN} ${type} ${vip}`]);
      assert.equal(decode(answer).flag_aa, true);
    }
    assert.equal(await counted("istio_dns_upstream_requests_total", {}), before);
    const labels = { request_query_type: "aaaa", request_protocol: "udp" };
    assert.ok((await counted("istio_dns_requests_total", labels)) >= 1);
  });

  test("a server that would not answer is not needed for them, of whichever family", async () => {
    for (const server of [nameserver.ipv4, nameserver.ipv6]) {
      const answer = await dns.ask("shop/client", server, makeQuery({ name: "web" }));
      assert.deepEqual(records(answer), [`web A ${vips[0]}`]);
    }
  });

  test("applications' own resolvers work, with their search list", async () => {
    const program = `
      const dns = require("node:dns");
      dns.lookup("web", { all: true, verbatim: true }, (error, found) =>
        console.log(error?.code ?? found.map(({ address }) => address).sort().join()));`;
    const { stdout } = await cluster.exec("shop/client", [process.execPath, "-e", program]);
    assert.equal(stdout.trim(), [...vips].sort().join());
    const missing = program.replace('"web"', '"nothing.example"');
    const { stdout: none } = await cluster.exec("shop/client", [process.execPath, "-e", missing]);
    assert.equal(none.trim(), "ENOTFOUND");
  });

  test("a headless service is its pods", async () => {
    const query = makeQuery({ name: `web-pods.shop.${DOMAIN}` });
    const answer = await dns.ask("shop/client", clusterDns, query);
    assert.deepEqual(records(answer), [
      `web-pods.shop.${DOMAIN} A ${await cluster.podIp("shop/web")}`,
    ]);
  });

  test("what the mesh cannot answer is answered by the cluster's own name server", async () => {
    const srv = makeQuery({ name: `_tcp._tcp.web.shop.${DOMAIN}`, type: "SRV" });
    const answer = decode(await dns.ask("shop/client", clusterDns, srv));
    assert.equal(answer.answers?.[0]?.type, "SRV");
    assert.equal(answer.id, 4711);
    const none = await dns.ask("shop/client", clusterDns, makeQuery({ name: "example.com" }));
    assert.equal(decode(none).rcode, "NXDOMAIN");
    const labels = { request_query_type: "srv", request_protocol: "udp" };
    assert.ok((await counted("istio_dns_upstream_requests_total", labels)) >= 1);
  });

  test("a server that the application chose itself is asked, byte for byte", async () => {
    const seen: Buffer[] = [];
    let sent = Buffer.alloc(0);
    using servers = new DnsSockets(cluster);
    await servers.serve("outside/nameserver", (query, send) => {
      seen.push(query);
      sent = Buffer.concat([makeAnswer(query, "192.0.2.7"), Buffer.from("and more")]);
      send(sent);
    });
    const query = makeQuery({ name: "eXample.org", type: "HTTPS", additionals: opt(4096, true) });
    for (const server of Object.values(nameserver)) {
      const answer = await dns.ask("shop/client", server, query);
      assert.notEqual(seen.length, 0, server);
      // More than one where the answer was late: it is asked again then.
      for (const each of seen.splice(0)) assert.deepEqual(each.subarray(2), query.subarray(2));
      assert.deepEqual(answer.subarray(2), sent.subarray(2));
      assert.equal(answer.readUInt16BE(0), 4711);
    }
  });

  test("a pod without capture asks its server also for the mesh's names", async () => {
    using servers = new DnsSockets(cluster);
    await servers.serve("outside/nameserver", (query, send) =>
      send(makeAnswer(query, "192.0.2.7")),
    );
    const query = makeQuery({ name: `web.shop.${DOMAIN}` });
    const uncaptured = await dns.ask("shop/uncaptured", nameserver.ipv4, query);
    assert.deepEqual(records(uncaptured), [`web.shop.${DOMAIN} A 192.0.2.7`]);
    const captured = await dns.ask("shop/client", nameserver.ipv4, query);
    assert.deepEqual(records(captured), [`web.shop.${DOMAIN} A ${vips[0]}`]);
  });

  test("a truncated answer stays truncated, and the whole one comes by TCP", async () => {
    using servers = new DnsSockets(cluster);
    await servers.serve("outside/nameserver", (query, send) =>
      send(makeAnswer(query, "", { answers: [], flags: dnsPacket.TRUNCATED_RESPONSE })),
    );
    await servers.serveTcp("outside/nameserver", (socket) => {
      socket.on("data", (chunk: Buffer) => {
        const answer = makeAnswer(chunk.subarray(2), "192.0.2.7");
        socket.write(Buffer.concat([Buffer.of(answer.length >> 8, answer.length & 255), answer]));
      });
    });
    const udp = await dns.ask("shop/client", nameserver.ipv4, makeQuery({ name: "example.org" }));
    assert.equal(decode(udp).flag_tc, true);
    const program = `
      const resolver = new (require("node:dns").Resolver)();
      resolver.setServers(["${nameserver.ipv4}"]);
      resolver.resolve4("example.org", (error, found) => 
        console.log(error?.code ?? found.join()));`;
    const { stdout } = await cluster.exec("shop/client", [process.execPath, "-e", program]);
    assert.equal(stdout.trim(), "192.0.2.7");
    const labels = { request_query_type: "a", request_protocol: "tcp" };
    assert.ok((await counted("istio_dns_upstream_requests_total", labels)) >= 1);
  });
});
