/**
 * Destinations that cannot be reached: what the client sees, what the access log says, what is
 * tried instead.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { findRecords, waitForRecord } from "#test/support/access-log.ts";
import type { TestCluster } from "#test/support/cluster.ts";
import { namespace, pod, service } from "#test/support/objects.ts";
import { PodSockets, peerIp, type Target } from "#test/support/pod-sockets.ts";
import { startMesh } from "#test/support/ztunnel-view.ts";

const PORT = 8080;
const CLOSED_PORT = 8081;
/** An address of node2's pods that nobody has. */
const NOBODY = "10.244.2.200";

const OBJECTS = [
  namespace("meshed", "ambient"),
  namespace("unmeshed", undefined),
  ...["meshed", "unmeshed"].flatMap((side) => [
    ...pod({ namespace: side, name: "client", node: "node1" }),
    // Only web-2 will have a server: calls that are given to the others have to be tried again.
    ...["1", "2", "3"].flatMap((number) =>
      pod({
        namespace: side,
        name: `web-${number}`,
        app: "web",
        node: `node${number < "3" ? number : "2"}`,
      }),
    ),
    service({ namespace: side, name: "web", targetPort: PORT }),
    service({ namespace: side, name: "closed", app: "web", targetPort: CLOSED_PORT }),
    service({ namespace: side, name: "nobody" }),
  ]),
  ...pod({ namespace: "meshed", name: "filtered", node: "node2" }),
  ...pod({ namespace: "meshed", name: "silent", node: "node2" }),
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "absent", namespace: "meshed" },
    spec: { ports: [{ port: 80 }] },
  },
  {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: "absent",
      namespace: "meshed",
      labels: { "kubernetes.io/service-name": "absent" },
    },
    addressType: "IPv4",
    endpoints: [{ addresses: [NOBODY], conditions: { ready: true } }],
    ports: [{ port: PORT }],
  },
];

let cluster: TestCluster;
let sockets: PodSockets;

before(async () => {
  cluster = await startMesh({ objects: OBJECTS });
  sockets = new PodSockets(cluster);
  for (const side of ["meshed", "unmeshed"]) {
    await sockets.serve(`${side}/web-2`, PORT, (socket) => socket.end(peerIp(socket)));
  }
});

after(async () => {
  sockets?.[Symbol.dispose]();
  await cluster?.stop();
});

async function serviceTarget(reference: string): Promise<Target> {
  const { spec } = (await cluster.find("Service", reference)) ?? {};
  return { ip: spec?.clusterIP ?? "", port: 80 };
}

describe("a client sees a connection that stands, then a reset, where", () => {
  test("the destination's application listens on no such port: both ends log why", async () => {
    const ip = await cluster.podIp("meshed/web-2");
    const { source, how } = await sockets.call("meshed/client", { ip, port: CLOSED_PORT });
    assert.equal(how, "reset");
    const outbound = await waitForRecord(cluster, "node1", { "src.addr": source });
    assert.equal(outbound.level, "error");
    assert.equal(outbound.reason, "http-status");
    assert.equal(outbound.error, "http status: 503 Service Unavailable");
    const inbound = await waitForRecord(cluster, "node2", {
      "dst.hbone_addr": `${ip}:${CLOSED_PORT}`,
      direction: "inbound",
    });
    assert.equal(inbound.level, "error");
    assert.equal(inbound.reason, "connect-failed");
    assert.match(inbound.error ?? "", /ECONNREFUSED/);
  });

  test("the same over IPv6", async () => {
    const ip = await cluster.podIp("meshed/web-2", "ipv6");
    const { how } = await sockets.call("meshed/client", { ip, port: CLOSED_PORT });
    assert.equal(how, "reset");
    await waitForRecord(cluster, "node2", {
      "dst.hbone_addr": `[${ip}]:${CLOSED_PORT}`,
      direction: "inbound",
      reason: "connect-failed",
    });
  });

  test("a destination outside the mesh listens on no such port", async () => {
    const ip = await cluster.podIp("unmeshed/web-2");
    const { source, how } = await sockets.call("meshed/client", { ip, port: CLOSED_PORT });
    assert.equal(how, "reset");
    const record = await waitForRecord(cluster, "node1", { "src.addr": source });
    assert.equal(record.reason, "connect-failed");
    assert.match(record.error ?? "", /ECONNREFUSED/);
  });

  test("the client is outside the mesh and the application listens on no such port", async () => {
    const ip = await cluster.podIp("meshed/web-2");
    const { source, how } = await sockets.call("unmeshed/client", { ip, port: CLOSED_PORT });
    assert.equal(how, "reset");
    const record = await waitForRecord(cluster, "node2", { "src.addr": source });
    assert.equal(record.reason, "connect-failed");
    assert.match(record.error ?? "", /ECONNREFUSED/);
  });

  test("no endpoint of a service listens", async () => {
    const { source, how } = await sockets.call(
      "meshed/client",
      await serviceTarget("meshed/closed"),
    );
    assert.equal(how, "reset");
    const wanted = { "src.addr": source, direction: "outbound" };
    const record = await waitForRecord(cluster, "node1", wanted);
    assert.equal(record.reason, "http-status");
    assert.equal(record["dst.service"], "closed.meshed.svc.cluster.local");
  });

  test("a service has no endpoint", async () => {
    const target = await serviceTarget("meshed/nobody");
    const { source, how } = await sockets.call("meshed/client", target);
    assert.equal(how, "reset");
    const record = await waitForRecord(cluster, "node1", { "src.addr": source });
    assert.equal(record.reason, "no-healthy-upstream");
    assert.equal(record.error, `no healthy upstream: ${target.ip}:80`);
  });

  test("a service has no such port", async () => {
    const { ip } = await serviceTarget("meshed/web");
    const { source, how } = await sockets.call("meshed/client", { ip, port: 81 });
    assert.equal(how, "reset");
    const record = await waitForRecord(cluster, "node1", { "src.addr": source });
    assert.equal(record.reason, "no-healthy-upstream");
  });
});

describe("a client of a service is served by the endpoint that can, where the others", () => {
  const CALLS = 40;

  for (const side of ["meshed", "unmeshed"]) {
    test(`do not listen (${side} endpoints)`, async () => {
      const target = await serviceTarget(`${side}/web`);
      const client = await cluster.podIp("meshed/client");
      for (let i = 0; i < CALLS; i++) {
        const ending = await sockets.call("meshed/client", target);
        assert.deepEqual([ending.how, String(ending.received)], ["end", client]);
      }
      const dst = { "dst.service": `web.${side}.svc.cluster.local`, direction: "outbound" };
      await cluster.until("every connection is logged", async () => {
        return (await findRecords(cluster, "node1", dst)).length === CALLS;
      });
      // One record per connection, of the endpoint that served it.
      for (const record of await findRecords(cluster, "node1", dst)) {
        assert.equal(record["dst.workload"], "web-2");
        assert.equal(record.error, undefined);
      }
      if (side === "unmeshed") return;
      const refused = { "dst.workload": "web-1", direction: "inbound", reason: "connect-failed" };
      assert.notDeepEqual(await findRecords(cluster, "node1", refused), []);
    });
  }
});

/** Each of these takes the whole connect timeout of 10 s. */
describe("a destination that never answers", { concurrency: true }, () => {
  /** Lets a pod ignore new connections to a port. */
  async function ignore(pod: string, port: number): Promise<void> {
    const drop = `tcp dport ${port} tcp flags syn / syn,ack drop`;
    const chain = `chain input { type filter hook input priority -400; ${drop}; }`;
    const rules = `table inet test { ${chain}; }`;
    const { code, stderr } = await cluster.inPodNetns(pod, ["nft", "-f", "-"], { stdin: rules });
    assert.equal(code, 0, stderr);
  }

  test("on the HBONE port is reported as what a NetworkPolicy does", async () => {
    await ignore("meshed/filtered", 15008);
    const ip = await cluster.podIp("meshed/filtered");
    const { source, how } = await sockets.call("meshed/client", { ip, port: PORT });
    assert.equal(how, "reset");
    const record = await waitForRecord(cluster, "node1", { "src.addr": source });
    assert.equal(record.reason, "hbone-timeout");
    assert.match(
      record.error ?? "",
      /^connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: /,
    );
    const failed = { response_flags: "NETWORK_POLICY", destination_workload: "filtered" };
    const count = await cluster
      .ztunnel("node1")
      .metric("istio_tcp_connections_failed_total", failed);
    assert.equal(count, 1);
  });

  test("on the application's port is answered 503", async () => {
    await ignore("meshed/silent", PORT);
    const ip = await cluster.podIp("meshed/silent");
    const { source, how } = await sockets.call("meshed/client", { ip, port: PORT });
    assert.equal(how, "reset");
    const outbound = await waitForRecord(cluster, "node1", { "src.addr": source });
    assert.equal(outbound.error, "http status: 503 Service Unavailable");
    await waitForRecord(cluster, "node2", {
      "dst.hbone_addr": `${ip}:${PORT}`,
      reason: "connect-timeout",
    });
  });

  test("because no pod has the address is reported as a failure to connect", async () => {
    const { source, how } = await sockets.call(
      "meshed/client",
      await serviceTarget("meshed/absent"),
    );
    assert.equal(how, "reset");
    const record = await waitForRecord(cluster, "node1", { "src.addr": source });
    assert.match(record.reason ?? "", /^connect-(failed|timeout)$/);
    assert.equal(record["dst.addr"], `${NOBODY}:${PORT}`);
  });
});
