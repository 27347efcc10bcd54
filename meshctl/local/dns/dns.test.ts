/** The cluster's names: what the zone holds, and what goes over the wire. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, test } from "node:test";
import dnsPacket, { type Packet } from "dns-packet";
import fc from "fast-check";
import type { EndpointSlice, KubeService } from "#common/kubernetes/objects.ts";
import { type IpAddress, parseIp } from "#common/model/ip.ts";
import { answerQuery } from "./answers.ts";
import { DnsServer } from "./server.ts";
import { buildZone, type DnsZone, reverseName } from "./zone.ts";

const ports = [{ name: "http", port: 80, targetPort: 8080 }];

function service(name: string, spec: Partial<KubeService["spec"]>): KubeService {
  const metadata = { name, namespace: "shop" };
  return { apiVersion: "v1", kind: "Service", metadata, spec: { ports, ...spec } };
}

function slice(name: string, addressType: "IPv4" | "IPv6", ips: readonly string[]): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, namespace: "shop", labels: { "kubernetes.io/service-name": name } },
    addressType,
    endpoints: ips.map((ip, i) => ({
      addresses: [ip],
      conditions: { ready: !ip.endsWith("9") },
      ...(i === 1 ? { hostname: "db-1" } : {}),
    })),
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
  };
}

const ZONE = buildZone(
  [
    service("web", { clusterIPs: ["10.96.0.20", "fd00:10:96::14"] }),
    service("four", { clusterIPs: ["10.96.0.21"] }),
    service("db", { clusterIP: "None", clusterIPs: ["None"] }),
    service("alias", { type: "ExternalName", externalName: "four.shop.svc.cluster.local" }),
    service("away", { type: "ExternalName", externalName: "example.com" }),
  ],
  [
    slice("db", "IPv4", ["10.244.1.2", "10.244.1.3", "10.244.1.9"]),
    slice("db", "IPv6", ["fd00:10:244:1::2"]),
  ],
);
/** Nobody else's: UDP and TCP need the same port. */
const ADDRESS = `127.53.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}` as IpAddress;
const PORT = 5_300;
const DOMAIN = "shop.svc.cluster.local";
/** The end of a name, and type and class of a question for IPv4 addresses. */
const END = Buffer.from([0]);
const A_IN = Buffer.from([0, 1, 0, 1]);
const ONE: DnsZone = { lookup: () => [{ type: "A", data: "10.0.0.1" as IpAddress }] };

function ask(name: string, type: string, zone = ZONE): Packet & { rcode?: string } {
  const query = dnsPacket.encode({
    type: "query",
    id: 7,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ type: type as "A", name }],
  });
  const answer = answerQuery(query, zone, "udp", () => 0.5);
  assert.ok(answer);
  return dnsPacket.decode(Buffer.from(answer));
}

const datas = (packet: Packet) =>
  (packet.answers ?? []).map((answer) => ("data" in answer ? answer.data : undefined));

describe("the cluster's DNS", () => {
  test("answers a service's name with its addresses, by family", () => {
    assert.deepEqual(datas(ask(`web.${DOMAIN}`, "A")), ["10.96.0.20"]);
    assert.deepEqual(datas(ask(`WEB.${DOMAIN}.`, "AAAA")), ["fd00:10:96::14"]);
  });

  test("answers a headless service's name with its ready endpoints, and each by its own name", () => {
    assert.deepEqual(datas(ask(`db.${DOMAIN}`, "A")).sort(), ["10.244.1.2", "10.244.1.3"]);
    assert.deepEqual(datas(ask(`db.${DOMAIN}`, "AAAA")), ["fd00:10:244:1::2"]);
    assert.deepEqual(datas(ask(`db-1.db.${DOMAIN}`, "A")), ["10.244.1.3"]);
    assert.deepEqual(datas(ask(`10-244-1-2.db.${DOMAIN}`, "A")), ["10.244.1.2"]);
  });

  test("answers SRV for named ports, with the addresses of the targets", () => {
    const service = ask(`_http._tcp.web.${DOMAIN}`, "SRV");
    assert.deepEqual(datas(service), [
      { priority: 0, weight: 100, port: 80, target: `web.${DOMAIN}` },
    ]);
    assert.equal(service.additionals?.length, 2);
    const targets = datas(ask(`_http._tcp.db.${DOMAIN}`, "SRV")) as {
      target: string;
      port: number;
    }[];
    assert.ok(targets.every((target) => target.port === 8080));
    assert.ok(targets.some((target) => target.target === `db-1.db.${DOMAIN}`));
  });

  test("answers the way back, and pods by their address", () => {
    assert.deepEqual(datas(ask("20.0.96.10.in-addr.arpa", "PTR")), [`web.${DOMAIN}`]);
    const ipv6 = parseIp("fd00:10:96::14") ?? assert.fail();
    assert.deepEqual(datas(ask(reverseName(ipv6), "PTR")), [`web.${DOMAIN}`]);
    assert.deepEqual(datas(ask("10-244-1-2.shop.pod.cluster.local", "A")), ["10.244.1.2"]);
  });

  test("follows an alias inside the cluster, and leaves one outside to the client", () => {
    assert.deepEqual(datas(ask(`alias.${DOMAIN}`, "A")), [`four.${DOMAIN}`, "10.96.0.21"]);
    const away = ask(`away.${DOMAIN}`, "A");
    assert.deepEqual(datas(away), ["example.com"]);
    assert.equal(away.rcode, "NOERROR");
  });

  test("tells a name that does not exist from one without records of that type", () => {
    const cases: [string, string, string][] = [
      [`nothing.${DOMAIN}`, "A", "NXDOMAIN"],
      ["example.com", "A", "NXDOMAIN"],
      [`web.${DOMAIN}.${DOMAIN}`, "A", "NXDOMAIN"],
      [`four.${DOMAIN}`, "AAAA", "NOERROR"],
      [`web.${DOMAIN}`, "TXT", "NOERROR"],
      [DOMAIN, "A", "NOERROR"],
      ["cluster.local", "A", "NOERROR"],
    ];
    for (const [name, type, rcode] of cases) {
      const answer = ask(name, type);
      assert.equal(answer.rcode, rcode, `${name} ${type}`);
      assert.deepEqual(answer.answers, []);
      assert.equal(answer.authorities?.[0]?.type, "SOA");
    }
  });

  test("cuts an answer that does not fit into UDP and says so, unless the client takes more", () => {
    const zone: DnsZone = {
      lookup: () =>
        Array.from({ length: 30 }, (_, i) => ({
          type: "A" as const,
          data: `10.0.0.${i}` as IpAddress,
        })),
    };
    const question = { type: "A" as const, name: "many.cluster.local" };
    const plain = dnsPacket.encode({ type: "query", id: 1, questions: [question] });
    const cut = answerQuery(plain, zone, "udp", Math.random) ?? assert.fail();
    assert.ok(cut.length <= 512);
    assert.equal(dnsPacket.decode(Buffer.from(cut)).flag_tc, true);
    const whole = answerQuery(plain, zone, "tcp", Math.random) ?? assert.fail();
    assert.equal(dnsPacket.decode(Buffer.from(whole)).answers?.length, 30);
    const edns = dnsPacket.encode({
      type: "query",
      id: 1,
      questions: [question],
      additionals: [
        {
          type: "OPT",
          name: ".",
          udpPayloadSize: 4096,
          flags: 0,
          extendedRcode: 0,
          ednsVersion: 0,
          flag_do: false,
          options: [],
        },
      ],
    });
    const large = answerQuery(edns, zone, "udp", Math.random) ?? assert.fail();
    assert.ok(large.length <= 1232);
    assert.equal(dnsPacket.decode(Buffer.from(large)).flag_tc, false);
  });

  test("survives any bytes, and answers none that are an answer already", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const answer = answerQuery(bytes, ONE, "udp", Math.random);
        if (((bytes[2] ?? 0x80) & 0x80) !== 0) assert.equal(answer, undefined);
      }),
    );
    const response = dnsPacket.encode({ type: "response", id: 1, questions: [] });
    assert.equal(answerQuery(response, ONE, "udp", Math.random), undefined);
  });

  test("reads names that point to others, and answers FORMERR to what is no name as text", () => {
    const header = Buffer.from("000701000001000000000001", "hex");
    const label = (bytes: string | Buffer) => Buffer.from([bytes.length, ...Buffer.from(bytes)]);
    const labels = (...all: (string | Buffer)[]) => Buffer.concat([...all.map(label), END]);
    const ask = (name: Buffer, more: Buffer = Buffer.alloc(0)) => {
      const answer = answerQuery(Buffer.concat([header, name, A_IN, more]), ZONE, "udp", () => 0.5);
      return dnsPacket.decode(Buffer.from(answer ?? assert.fail()));
    };
    const web = labels("web", ...DOMAIN.split("."));
    // An OPT record whose name, the root, is said by a pointer to the end of the question's.
    const opt = Buffer.from([
      0xc0,
      header.length + web.length - 1,
      0,
      41,
      4,
      0xd0,
      0,
      0,
      0,
      0,
      0,
      0,
    ]);
    assert.deepEqual(datas(ask(web, opt)), ["10.96.0.20"]);
    for (const odd of [labels(`web.${DOMAIN}`), labels("web.shop", "svc", "cluster", "local")]) {
      assert.equal((ask(odd, opt) as { rcode?: string }).rcode, "FORMERR");
    }
    const raw = labels(Buffer.alloc(63, 0xff), "cluster", "local");
    assert.equal((ask(raw, opt) as { rcode?: string }).rcode, "FORMERR");
    const toItself = Buffer.from([0xc0, header.length]);
    assert.equal((ask(toItself, opt) as { rcode?: string }).rcode, "FORMERR");
  });

  test("serves UDP and TCP, several questions on one connection", async () => {
    const server = new DnsServer();
    await server.listen([ADDRESS], PORT);
    server.zone = ZONE;
    try {
      const query = dnsPacket.encode({
        type: "query",
        id: 9,
        questions: [{ type: "A", name: `web.${DOMAIN}` }],
      });
      const udp = createSocket("udp4");
      udp.send(query, PORT, ADDRESS);
      const [message] = (await once(udp, "message")) as [Buffer];
      assert.deepEqual(datas(dnsPacket.decode(message)), ["10.96.0.20"]);
      udp.close();
      const framed = dnsPacket.streamEncode({
        type: "query",
        id: 9,
        questions: [{ type: "A", name: `four.${DOMAIN}` }],
      });
      const tcp = connect(PORT, ADDRESS);
      // Two questions, cut where no message ends.
      const both = Buffer.concat([framed, framed]);
      tcp.write(both.subarray(0, 5));
      setTimeout(() => tcp.write(both.subarray(5)), 20);
      let received = Buffer.alloc(0);
      for await (const chunk of tcp) {
        received = Buffer.concat([received, chunk as Buffer]);
        const length = received.readUInt16BE(0) + 2;
        if (received.length < 2 * length) continue;
        const second = dnsPacket.streamDecode(received.subarray(length));
        assert.deepEqual(datas(second), ["10.96.0.21"]);
        break;
      }
      tcp.destroy();
    } finally {
      server.close();
    }
  });
});
