/**
 * Who reaches whom, by what, over which way: every client, server, place, kind of address and
 * family.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { formatSocketAddress, type IpAddress } from "#common/model/ip.ts";
import { findRecords, waitForRecord } from "#test/support/access-log.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { namespace, pod, service } from "#test/support/objects.ts";
import { PodSockets } from "#test/support/pod-sockets.ts";
import { startMesh } from "#test/support/ztunnel-view.ts";

const SIDES = ["meshed", "unmeshed"] as const;
const PLACES = { "on the same node": "node1", "on another node": "node2" } as const;
const WAYS = ["service address", "name", "headless name", "pod address"] as const;
const FAMILIES = ["ipv4", "ipv6"] as const;
const A = { meshed: "a meshed", unmeshed: "an unmeshed" } as const;
const PORT = 8080;

type Side = (typeof SIDES)[number];
type Way = (typeof WAYS)[number];
type Family = (typeof FAMILIES)[number];

const OBJECTS = SIDES.flatMap((side) => [
  namespace(side, side === "meshed" ? "ambient" : undefined),
  ...pod({ namespace: side, name: "client", node: "node1" }),
  ...Object.values(PLACES).flatMap((node) => [
    ...pod({ namespace: side, name: `web-${node}`, node }),
    service({ namespace: side, name: `web-${node}`, targetPort: PORT }),
    service({
      namespace: side,
      name: `pods-${node}`,
      app: `web-${node}`,
      headless: true,
      port: PORT,
      targetPort: PORT,
    }),
  ]),
]);

interface Answer {
  readonly pod: string;
  readonly peer: string;
}

describe("a connection", () => {
  let cluster: TestCluster;
  let sockets: PodSockets;
  /** Sources of connections between unmeshed pods. */
  const unmeshed: string[] = [];
  /** Of the next call: the kernel would give a port again, for another destination. */
  let nextPort = 21_000;

  before(async () => {
    cluster = await startMesh({ objects: OBJECTS });
    sockets = new PodSockets(cluster);
    for (const side of SIDES) {
      for (const node of Object.values(PLACES)) {
        const name = `${side}/web-${node}`;
        await sockets.serveHttp(name, PORT, (peer) => JSON.stringify({ pod: name, peer }));
      }
    }
  });

  after(async () => {
    sockets?.[Symbol.dispose]();
    await cluster?.stop();
  });

  /** Host and port as the URL names them. */
  async function hostOf(side: Side, node: string, way: Way, family: Family): Promise<string> {
    const name = `web-${node}`;
    switch (way) {
      case "name":
        return `${name}.${side}.svc.cluster.local:80`;
      case "headless name":
        return `pods-${node}.${side}:${PORT}`;
      case "pod address": {
        const ip = (await cluster.podIp(`${side}/${name}`, family)) as IpAddress;
        return formatSocketAddress({ ip, port: PORT });
      }
      case "service address": {
        const { spec } = (await cluster.find("Service", `${side}/${name}`)) ?? {};
        const ip = spec?.clusterIPs?.find((each) => each.includes(":") === (family === "ipv6"));
        return formatSocketAddress({ ip: ip as IpAddress, port: 80 });
      }
    }
  }

  /** Calls from the client's pod; answers with the client's own address and port too. */
  async function call(side: Side, host: string, family: Family) {
    const flag = family === "ipv4" ? "-4" : "-6";
    const { code, stdout, stderr } = await cluster.exec(`${side}/client`, [
      ...["curl", flag, "-sS", "-m", "5", "-w", "\n%{local_ip} %{local_port}"],
      ...["--local-port", String(nextPort++), `http://${host}/`],
    ]);
    assert.equal(code, 0, `curl http://${host}/: ${stderr}`);
    const [body = "", local = ""] = stdout.split("\n");
    const [ip, port] = local.split(" ");
    const source = formatSocketAddress({ ip: ip as IpAddress, port: Number(port) });
    return { answer: JSON.parse(body) as Answer, source };
  }

  /** What the ztunnels of both nodes say of the way that the connection took. */
  async function checkWay(client: Side, server: Side, node: string, way: Way, source: string) {
    const workload = { "dst.workload": `web-${node}`, "dst.namespace": server };
    if (client === "meshed") {
      const record = await waitForRecord(cluster, "node1", {
        "src.addr": source,
        direction: "outbound",
        ...workload,
      });
      const byService = way === "name" || way === "service address";
      const hostname = `web-${node}.${server}.svc.cluster.local`;
      assert.equal(record["dst.service"], byService ? hostname : undefined);
      assert.equal(record["dst.hbone_addr"] === undefined, server === "unmeshed");
      assert.match(record["dst.addr"] ?? "", server === "meshed" ? /:15008$/ : /:8080$/);
      return;
    }
    if (server === "unmeshed") {
      unmeshed.push(source);
      return;
    }
    const record = await waitForRecord(cluster, node, { "src.addr": source, ...workload });
    assert.equal(record.direction, "inbound");
    assert.equal(record["src.identity"], undefined);
    assert.equal(record["dst.hbone_addr"], undefined);
  }

  for (const client of SIDES) {
    for (const server of SIDES) {
      for (const [place, node] of Object.entries(PLACES)) {
        for (const way of WAYS) {
          for (const family of FAMILIES) {
            const ends = `from ${A[client]} client to ${A[server]} server`;
            test(`${ends} ${place} by ${way}, ${family}, keeps the client's address`, async () => {
              const host = await hostOf(server, node, way, family);
              const { answer, source } = await call(client, host, family);
              assert.equal(answer.pod, `${server}/web-${node}`);
              assert.equal(answer.peer, await cluster.podIp(`${client}/client`, family));
              await checkWay(client, server, node, way, source);
            });
          }
        }
      }
    }
  }

  test("between unmeshed pods meets no ztunnel", async () => {
    // A ztunnel logs in the order in which connections end: after a later one, earlier ones are
    // there.
    for (const node of Object.values(PLACES)) {
      const host = await hostOf("meshed", node, "pod address", "ipv4");
      const { source } = await call("unmeshed", host, "ipv4");
      await waitForRecord(cluster, node, { "src.addr": source });
      const { source: outbound } = await call("meshed", host, "ipv4");
      await waitForRecord(cluster, "node1", { "src.addr": outbound });
      for (const each of unmeshed) {
        assert.deepEqual(await findRecords(cluster, node, { "src.addr": each }), []);
      }
    }
    assert.notEqual(unmeshed.length, 0);
  });
});
