/** What ztunnels say of one connection, on both sides of it: access log, metrics, config dump. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type AccessLogRecord, waitForRecord } from "#test/support/access-log.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { SPIFFE } from "#test/support/objects.ts";
import { PodSockets, type Target } from "#test/support/pod-sockets.ts";
import { TELEMETRY_OBJECTS } from "#test/support/telemetry-objects.ts";
import { openConnections, startMesh } from "#test/support/ztunnel-view.ts";

const PORT = 8080;
const REQUEST = "a request of 26 characters";
const ANSWER_BYTES = 300_000;
const NODES = ["node1", "node2"] as const;

/** The fields of a line by side, in the order in which Istio writes them. */
const SIDE_FIELDS = ["workload", "namespace", "identity", "cluster"];
const FIELDS = [
  "src.addr",
  ...SIDE_FIELDS.map((field) => `src.${field}`),
  "dst.addr",
  "dst.hbone_addr",
  "dst.service",
  ...SIDE_FIELDS.map((field) => `dst.${field}`),
  "direction",
  "bytes_sent",
  "bytes_recv",
  "duration",
];
const IDENTITIES = {
  "src.identity": `${SPIFFE}/ns/shop/sa/client`,
  "dst.identity": `${SPIFFE}/ns/shop/sa/web`,
};
const WORKLOADS = {
  "src.workload": "client",
  "src.namespace": "shop",
  "src.cluster": "Kubernetes",
  "dst.workload": "web-0",
  "dst.namespace": "shop",
  "dst.cluster": "Kubernetes",
};

/** Every label of Istio's traffic metrics for a connection between these two pods. */
const LABELS = {
  source_workload: "client",
  source_canonical_service: "client",
  source_canonical_revision: "v2",
  source_workload_namespace: "shop",
  source_principal: IDENTITIES["src.identity"],
  source_app: "client",
  source_version: "v2",
  source_cluster: "Kubernetes",
  source_region: "unknown",
  source_zone: "unknown",
  destination_workload: "web-0",
  destination_canonical_service: "web",
  destination_canonical_revision: "v3",
  destination_workload_namespace: "shop",
  destination_principal: IDENTITIES["dst.identity"],
  destination_app: "web",
  destination_version: "v3",
  destination_cluster: "Kubernetes",
  destination_region: "unknown",
  destination_zone: "unknown",
  destination_service: "web.shop.svc.cluster.local",
  destination_service_namespace: "shop",
  destination_service_name: "web",
  request_protocol: "tcp",
  response_flags: "-",
  connection_security_policy: "mutual_tls",
};

for (const format of ["text", "json"] as const) {
  describe(`a connection, with logs as ${format},`, () => {
    let cluster: TestCluster;
    let sockets: PodSockets;
    let vip: Target;
    let source: string;

    before(async () => {
      cluster = await startMesh({
        objects: TELEMETRY_OBJECTS,
        ztunnel: { env: { LOG_FORMAT: format } },
      });
      sockets = new PodSockets(cluster);
      for (const name of ["shop/web-0", "outside/web"]) {
        await sockets.serve(name, PORT, (socket) => {
          socket.resume().once("end", () => socket.end(Buffer.alloc(ANSWER_BYTES)));
        });
      }
      const { spec } = (await cluster.find("Service", "shop/web")) ?? {};
      vip = { ip: spec?.clusterIP ?? "", port: 80 };
    });

    after(async () => {
      sockets?.[Symbol.dispose]();
      await cluster?.stop();
    });

    async function exchange(from: string, target: Target): Promise<void> {
      const call = await sockets.call(from, target, REQUEST);
      assert.equal(call.received.length, ANSWER_BYTES);
      source = call.source;
    }

    /** Fields in their order, and everything that does not change from run to run. */
    function checkRecord(record: AccessLogRecord, expected: Readonly<Record<string, string>>) {
      const { level, time, scope, message, ...fields } = record;
      assert.deepEqual([level, scope, message], ["info", "access", "connection complete"]);
      assert.match(time ?? "", /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.match(fields.duration ?? "", /^\d+ms$/);
      const order = FIELDS.filter((field) => field in fields);
      assert.deepEqual(Object.keys(fields), order);
      const { duration, ...rest } = fields;
      assert.deepEqual(rest, expected);
    }

    test("while it is open is in both ztunnels' config dumps", async () => {
      const client = await sockets.dial("shop/client", vip);
      client.write(REQUEST);
      await cluster.until("both have it", async () => {
        const all = await Promise.all(NODES.map((node) => openConnections(cluster, node)));
        return all.every((connections) => connections.length === 1);
      });
      const ip = await cluster.podIp("shop/web-0");
      const [outbound] = await openConnections(cluster, "node1");
      const src = `${client.localAddress}:${client.localPort}`;
      const originalDst = `${vip.ip}:${vip.port}`;
      const tunnel = `${ip}:15008`;
      const protocol = "HBONE";
      assert.deepEqual(outbound, { src, originalDst, actualDst: tunnel, protocol });
      const [inbound] = await openConnections(cluster, "node2");
      assert.match(inbound?.src ?? "", new RegExp(`^${await cluster.podIp("shop/client")}:\\d+$`));
      const asked = { originalDst: "web.shop.svc.cluster.local", actualDst: `${ip}:${PORT}` };
      assert.deepEqual({ ...inbound, src: "" }, { src: "", ...asked, protocol });
      client.resetAndDestroy();
    });

    test("by HBONE is logged on both sides with all of Istio's fields", async () => {
      await exchange("shop/client", vip);
      const hbone = `${await cluster.podIp("shop/web-0")}:${PORT}`;
      const common = {
        ...{ ...WORKLOADS, ...IDENTITIES },
        "dst.addr": `${await cluster.podIp("shop/web-0")}:15008`,
        "dst.hbone_addr": hbone,
        "dst.service": "web.shop.svc.cluster.local",
      };
      const outbound = await waitForRecord(cluster, "node1", { "src.addr": source });
      checkRecord(outbound, {
        ...common,
        "src.addr": source,
        direction: "outbound",
        bytes_sent: String(REQUEST.length),
        bytes_recv: String(ANSWER_BYTES),
      });
      const inbound = await waitForRecord(cluster, "node2", {
        "dst.hbone_addr": hbone,
        bytes_recv: String(REQUEST.length),
        bytes_sent: String(ANSWER_BYTES),
      });
      const [, tunnel = ""] = /^(.*):\d+$/.exec(inbound["src.addr"] ?? "") ?? [];
      assert.equal(tunnel, await cluster.podIp("shop/client"));
      checkRecord(inbound, {
        ...common,
        "src.addr": inbound["src.addr"] ?? "",
        direction: "inbound",
        bytes_sent: String(ANSWER_BYTES),
        bytes_recv: String(REQUEST.length),
      });
    });

    test("to a server outside the mesh is logged without identities", async () => {
      const ip = await cluster.podIp("outside/web");
      await exchange("shop/client", { ip, port: PORT });
      checkRecord(await waitForRecord(cluster, "node1", { "src.addr": source }), {
        ...WORKLOADS,
        "src.addr": source,
        "dst.addr": `${ip}:${PORT}`,
        "dst.workload": "web",
        "dst.namespace": "outside",
        direction: "outbound",
        bytes_sent: String(REQUEST.length),
        bytes_recv: String(ANSWER_BYTES),
      });
    });

    test("from a client outside the mesh is logged without identities", async () => {
      const ip = await cluster.podIp("shop/web-0");
      await exchange("outside/client", { ip, port: PORT });
      checkRecord(await waitForRecord(cluster, "node2", { "src.addr": source }), {
        ...WORKLOADS,
        "src.addr": source,
        "src.namespace": "outside",
        "dst.addr": `${ip}:${PORT}`,
        direction: "inbound",
        bytes_sent: String(ANSWER_BYTES),
        bytes_recv: String(REQUEST.length),
      });
    });

    test("is counted on both sides with all of Istio's labels, and every byte once", async () => {
      const expected = {
        istio_tcp_connections_opened_total: 2,
        istio_tcp_connections_closed_total: 2,
        istio_tcp_received_bytes_total: 2 * REQUEST.length,
        istio_tcp_sent_bytes_total: ANSWER_BYTES,
      };
      for (const [node, reporter] of [
        ["node1", "source"],
        ["node2", "destination"],
      ] as const) {
        for (const [name, value] of Object.entries(expected)) {
          const labels = { reporter, ...LABELS };
          await cluster.until(`${node} counts ${value} in ${name}`, async () => {
            return (await cluster.ztunnel(node).metric(name, labels)) === value;
          });
          const [series = ""] = (await cluster.ztunnel(node).metrics())
            .split("\n")
            .filter(
              (line) =>
                line.startsWith(`${name}{`) && line.includes(`"${LABELS.source_principal}"`),
            );
          const names = [...series.matchAll(/(\w+)="/g)].map(([, label]) => label);
          assert.deepEqual(names.sort(), ["reporter", ...Object.keys(LABELS)].sort());
        }
      }
    });

    test("outside the mesh at one end is counted as such", async () => {
      const ways = [
        ["node1", { reporter: "source", source_workload: "client", destination_workload: "web" }],
        ["node2", { reporter: "destination", source_workload_namespace: "outside" }],
      ] as const;
      for (const [node, labels] of ways) {
        const plain = { ...labels, connection_security_policy: "unknown" };
        const closed = await cluster
          .ztunnel(node)
          .metric("istio_tcp_connections_closed_total", plain);
        assert.equal(closed, 1, node);
      }
    });
  });
}
