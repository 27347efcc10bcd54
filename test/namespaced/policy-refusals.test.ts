/** What a refusal says of itself in the access log and in the metrics, in both families. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type AccessLogRecord, findRecords, waitForRecord } from "#test/support/access-log.ts";
import {
  type Call,
  CLIENTS,
  describeCall,
  FAMILIES,
  type Family,
  PORTS,
  PolicyMesh,
} from "#test/support/policy-mesh.ts";
import { allow, deny, peerAuthentication, rule } from "#test/support/policy-objects.ts";
import { ECHO_PORT, StandingConnection, serveEcho } from "#test/support/standing-connections.ts";

const FRONTEND = "spiffe://cluster.local/ns/web/sa/frontend";
const SERVER = "spiffe://cluster.local/ns/shop/sa/db";
const FROM_FRONTEND = rule({ source: { principals: [FRONTEND.slice("spiffe://".length)] } });
const SERVER_NODE = "node2";
const CLIENT_NODE = "node1";

const REJECTED = "connection closed due to policy rejection";
const CHANGED = "connection closed due to policy change";

interface Row {
  readonly title: string;
  readonly policies: readonly object[];
  readonly client: "frontend" | "outsider";
  readonly says: { readonly reason: string; readonly error: string; readonly policy?: string };
}

const ROWS: readonly Row[] = [
  {
    title: "by a DENY",
    policies: [allow([{}], { name: "a" }), deny([FROM_FRONTEND], { name: "z" })],
    client: "frontend",
    says: {
      reason: "explicit-deny",
      error: `${REJECTED}: explicitly denied by: shop/z`,
      policy: "shop/z",
    },
  },
  {
    title: "because no ALLOW allows it",
    policies: [allow([rule({ source: { namespaces: ["stage"] } })], { name: "stage-only" })],
    client: "frontend",
    says: {
      reason: "no-allow-matched",
      error: `${REJECTED}: allow policies exist, but none allowed`,
      policy: "shop/stage-only",
    },
  },
  {
    title: "because nothing is allowed at all",
    policies: [allow([])],
    client: "frontend",
    says: {
      reason: "no-allow-matched",
      error: `${REJECTED}: allow policies exist, but none allowed`,
    },
  },
  {
    title: "as plaintext by STRICT",
    policies: [peerAuthentication("STRICT")],
    client: "outsider",
    says: {
      reason: "explicit-deny",
      error: `${REJECTED}: explicitly denied by: istio-system/istio_converted_static_strict`,
      policy: "istio-system/istio_converted_static_strict",
    },
  },
  {
    title: "as plaintext by a STRICT port",
    policies: [
      peerAuthentication("PERMISSIVE", {
        name: "ports",
        matchLabels: { app: "db" },
        ports: { [PORTS.http]: "STRICT", [ECHO_PORT]: "STRICT" },
      }),
    ],
    client: "outsider",
    says: {
      reason: "explicit-deny",
      error: `${REJECTED}: explicitly denied by: shop/converted_peer_authentication_ports`,
      policy: "shop/converted_peer_authentication_ports",
    },
  },
  {
    title: "as plaintext because no ALLOW allows it",
    policies: [allow([FROM_FRONTEND], { name: "frontend-only" })],
    client: "outsider",
    says: {
      reason: "no-allow-matched",
      error: `${REJECTED}: allow policies exist, but none allowed`,
      policy: "shop/frontend-only",
    },
  },
];

describe("a connection refused", () => {
  let mesh: PolicyMesh;
  before(async () => {
    mesh = await PolicyMesh.start();
    await serveEcho(mesh);
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  for (const { title, policies, client, says } of ROWS) {
    for (const family of FAMILIES) {
      test(`${title} says so in log and metrics, ${family}`, async () => {
        const call = { client, server: "db", port: PORTS.http, family } as const;
        await mesh.enforce(...policies);
        const counted = await failures(mesh, client);
        const logged = (await refusals(mesh, client, family)).length;
        assert.equal(await mesh.call(call), false, describeCall(call));
        let record: AccessLogRecord = {};
        await mesh.cluster.until("the refusal is logged", async () => {
          const [first, ...more] = (await refusals(mesh, client, family)).slice(logged);
          assert.deepEqual(more, []);
          record = first ?? record;
          return first !== undefined;
        });
        assert.equal(record.level, "error");
        const { reason, error, policy } = record;
        assert.deepEqual({ reason, error, ...(policy && { policy }) }, says);
        checkParties(mesh, record, call);
        await mesh.cluster.until("the refusal is counted", async () => {
          return (await failures(mesh, client)) === counted + 1;
        });
      });
    }
  }

  for (const { client, family } of FAMILIES.flatMap((each) => [
    { client: "frontend", family: each } as const,
    { client: "outsider", family: each } as const,
  ])) {
    test(`later, when a policy changes, says so: ${client}, ${family}`, async () => {
      await mesh.enforce();
      const call = { client, server: "db", port: ECHO_PORT, family } as const;
      const standing = await StandingConnection.open(mesh, call);
      await mesh.enforce(deny([{}], { name: "nobody" }));
      const record = await waitForRecord(mesh.cluster, SERVER_NODE, {
        ...party(client),
        reason: "policy-changed",
        "src.addr": sourcePattern(mesh, client, family),
      });
      assert.equal(record.error, `${CHANGED}: explicitly denied by: shop/nobody`);
      assert.equal(record.policy, "shop/nobody");
      assert.deepEqual([record.bytes_sent, record.bytes_recv], ["1", "1"]);
      checkParties(mesh, record, call);
      standing.close();
    });
  }

  test("of a client in the mesh is told at its own side too, as the answer it got", async () => {
    await mesh.enforce(deny([FROM_FRONTEND]));
    assert.equal(
      await mesh.call({ client: "frontend", server: "db", port: PORTS.http, family: "ipv4" }),
      false,
    );
    const record = await waitForRecord(mesh.cluster, CLIENT_NODE, {
      direction: "outbound",
      reason: "http-status",
      "src.workload": "frontend",
    });
    assert.match(record.error ?? "", /http status: 401/);
    assert.equal(record["dst.service"], "db.shop.svc.cluster.local");
  });
});

function party(client: Row["client"]): Record<string, string> {
  return { direction: "inbound", "src.workload": client, "dst.workload": "db" };
}

function sourcePattern(mesh: PolicyMesh, client: Row["client"], family: Family): RegExp {
  const ip = mesh.ip(client, family).replaceAll(".", "\\.");
  return family === "ipv6" ? new RegExp(`^\\[${ip}\\]:\\d+$`) : new RegExp(`^${ip}:\\d+$`);
}

/** The server's side of the refusals until now. */
function refusals(
  mesh: PolicyMesh,
  client: Row["client"],
  family: Family,
): Promise<readonly AccessLogRecord[]> {
  const wanted = { ...party(client), "src.addr": sourcePattern(mesh, client, family) };
  return findRecords(mesh.cluster, SERVER_NODE, { ...wanted, reason: /./ });
}

/** Both ends of the connection as far as they are known: identities only where proved. */
function checkParties(mesh: PolicyMesh, record: AccessLogRecord, call: Call): void {
  const { client, family, port } = call;
  const ip = mesh.ip("db", family);
  const host = family === "ipv6" ? `[${ip}]` : ip;
  const meshed = client !== "outsider";
  const fields = ["src.namespace", "src.identity", "dst.addr", "dst.hbone_addr", "dst.identity"];
  assert.deepEqual(Object.fromEntries(fields.map((field) => [field, record[field]])), {
    "src.namespace": CLIENTS[client].split("/")[0],
    "src.identity": meshed ? FRONTEND : undefined,
    "dst.addr": `${host}:${meshed ? 15008 : port}`,
    "dst.hbone_addr": meshed ? `${host}:${port}` : undefined,
    "dst.identity": meshed ? SERVER : undefined,
  });
}

/** Refusals by policy of this client that the server's ztunnel counted. */
function failures(mesh: PolicyMesh, client: Row["client"]): Promise<number> {
  const principal = client === "frontend" ? FRONTEND : "unknown";
  return mesh.cluster.ztunnel(SERVER_NODE).metric("istio_tcp_connections_failed_total", {
    reporter: "destination",
    response_flags: "DENY",
    source_workload: client,
    source_principal: principal,
    destination_workload: "db",
    destination_workload_namespace: "shop",
    connection_security_policy: client === "frontend" ? "mutual_tls" : "unknown",
  });
}
