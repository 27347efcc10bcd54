/**
 * PeerAuthentication of every level, mode and port: what it means for plaintext, and that it means
 * no more.
 */
import { after, before, describe, test } from "node:test";
import { type Call, PolicyMesh } from "#test/support/policy-mesh.ts";
import { allow, deny, peerAuthentication, rule } from "#test/support/policy-objects.ts";

interface Row {
  readonly title: string;
  readonly policies: readonly object[];
  /** Where plaintext gets through; clients in the mesh get through everywhere. */
  readonly plaintext: (call: Call) => boolean;
}

const MESH = { name: "default", namespace: "istio-system" };
const NAMESPACE = { name: "default" };
const DB = { name: "db", matchLabels: { app: "db" } };

const isDb = ({ server }: Call): boolean => server === "db";
const inShop = ({ server }: Call): boolean => server !== "staging";
const always = (): boolean => true;
const never = (): boolean => false;
const toPorts =
  (...ports: number[]) =>
  (call: Call): boolean =>
    ports.includes(call.port);

const LEVELS: readonly Row[] = [
  row("without any is PERMISSIVE", [], always),
  row("STRICT for the mesh", [peerAuthentication("STRICT", MESH)], never),
  row("PERMISSIVE for the mesh", [peerAuthentication("PERMISSIVE", MESH)], always),
  row("DISABLE is PERMISSIVE", [peerAuthentication("DISABLE", MESH)], always),
  row("STRICT for a namespace", [peerAuthentication("STRICT", NAMESPACE)], (call) => !inShop(call)),
  row("STRICT for a workload", [peerAuthentication("STRICT", DB)], (call) => !isDb(call)),
  row(
    "PERMISSIVE for a namespace of a STRICT mesh",
    [peerAuthentication("STRICT", MESH), peerAuthentication("PERMISSIVE", NAMESPACE)],
    inShop,
  ),
  row(
    "PERMISSIVE for a workload of a STRICT namespace",
    [peerAuthentication("STRICT", NAMESPACE), peerAuthentication("PERMISSIVE", DB)],
    (call) => isDb(call) || !inShop(call),
  ),
  row(
    "DISABLE for a workload of a STRICT mesh",
    [peerAuthentication("STRICT", MESH), peerAuthentication("DISABLE", DB)],
    isDb,
  ),
  row(
    "STRICT for a workload of a PERMISSIVE namespace of a STRICT mesh",
    [
      peerAuthentication("STRICT", MESH),
      peerAuthentication("PERMISSIVE", NAMESPACE),
      peerAuthentication("STRICT", DB),
    ],
    ({ server }) => server === "cache",
  ),
];

const INHERITED: readonly Row[] = [
  row("UNSET for the mesh is PERMISSIVE", [peerAuthentication("UNSET", MESH)], always),
  row(
    "UNSET for a namespace is the mesh's",
    [peerAuthentication("STRICT", MESH), peerAuthentication("UNSET", NAMESPACE)],
    never,
  ),
  row(
    "UNSET for a workload is the namespace's",
    [peerAuthentication("STRICT", NAMESPACE), peerAuthentication("UNSET", DB)],
    (call) => !inShop(call),
  ),
  row(
    "UNSET twice is the mesh's",
    [
      peerAuthentication("STRICT", MESH),
      peerAuthentication("UNSET", NAMESPACE),
      peerAuthentication("UNSET", DB),
    ],
    never,
  ),
  row(
    "no mode is UNSET",
    [peerAuthentication("STRICT", MESH), peerAuthentication(undefined, NAMESPACE)],
    never,
  ),
  row(
    "of two for the same namespace the older one counts",
    [
      peerAuthentication("STRICT", { name: "a", creationTimestamp: "2026-02-01T00:00:00Z" }),
      peerAuthentication("PERMISSIVE", { name: "b", creationTimestamp: "2026-01-01T00:00:00Z" }),
    ],
    always,
  ),
  row(
    "of two for the same workload the older one counts",
    [
      peerAuthentication("PERMISSIVE", {
        name: "a",
        matchLabels: { tier: "data" },
        creationTimestamp: "2026-02-01T00:00:00Z",
      }),
      peerAuthentication("STRICT", { ...DB, creationTimestamp: "2026-01-01T00:00:00Z" }),
    ],
    (call) => !isDb(call),
  ),
  row(
    "a selector picks nothing in another namespace",
    [peerAuthentication("STRICT", { ...DB, namespace: "stage" })],
    inShop,
  ),
  row(
    "a selector in the root namespace picks nothing",
    [peerAuthentication("STRICT", { ...DB, namespace: "istio-system" })],
    always,
  ),
];

const BY_PORT: readonly Row[] = [
  row(
    "STRICT but for one port",
    [peerAuthentication("STRICT", { ...DB, ports: { "9090": "PERMISSIVE" } })],
    (call) => !isDb(call) || toPorts(9090)(call),
  ),
  row(
    "STRICT but for several ports",
    [peerAuthentication("STRICT", { ...DB, ports: { "9090": "PERMISSIVE", "8080": "DISABLE" } })],
    (call) => !isDb(call) || toPorts(9090, 8080)(call),
  ),
  row(
    "PERMISSIVE but for one port",
    [peerAuthentication("PERMISSIVE", { ...DB, ports: { "8080": "STRICT" } })],
    (call) => !isDb(call) || !toPorts(8080)(call),
  ),
  row(
    "PERMISSIVE but for several ports, each of which is enough",
    [peerAuthentication("PERMISSIVE", { ...DB, ports: { "8080": "STRICT", "9090": "STRICT" } })],
    (call) => !isDb(call) || !toPorts(8080, 9090)(call),
  ),
  row(
    "one STRICT and one PERMISSIVE port beside an inherited STRICT",
    [
      peerAuthentication("STRICT", MESH),
      peerAuthentication(undefined, { ...DB, ports: { "8080": "STRICT", "9090": "PERMISSIVE" } }),
    ],
    (call) => isDb(call) && toPorts(9090)(call),
  ),
  row(
    "one STRICT and one PERMISSIVE port beside an inherited PERMISSIVE",
    [peerAuthentication("UNSET", { ...DB, ports: { "8080": "STRICT", "9090": "PERMISSIVE" } })],
    (call) => !isDb(call) || !toPorts(8080)(call),
  ),
  row(
    "an UNSET port is as the workload",
    [peerAuthentication("STRICT", { ...DB, ports: { "9090": "UNSET", "7070": "PERMISSIVE" } })],
    (call) => !isDb(call) || toPorts(7070)(call),
  ),
  row(
    "a port of the service is no port of the container",
    [peerAuthentication("PERMISSIVE", { ...DB, ports: { "80": "STRICT" } })],
    always,
  ),
  row(
    "an exception for a port of the service opens none",
    [peerAuthentication("STRICT", { ...DB, ports: { "80": "PERMISSIVE" } })],
    (call) => !isDb(call),
  ),
];

function row(title: string, policies: Row["policies"], plaintext: Row["plaintext"]): Row {
  return { title, policies, plaintext };
}

describe("mutual TLS", () => {
  let mesh: PolicyMesh;
  before(async () => {
    mesh = await PolicyMesh.start();
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  for (const { title, policies, plaintext } of [...LEVELS, ...INHERITED, ...BY_PORT]) {
    test(title, async () => {
      await mesh.enforce(...policies);
      await mesh.assertAllowed((call) => call.client !== "outsider" || plaintext(call));
    });
  }

  test("STRICT is not undone by an ALLOW for everybody", async () => {
    await mesh.enforce(peerAuthentication("STRICT", NAMESPACE), allow([{}]));
    await mesh.assertAllowed((call) => call.client !== "outsider" || !inShop(call));
  });

  test("a PERMISSIVE port is open to plaintext as far as AuthorizationPolicies are", async () => {
    const exception = peerAuthentication("STRICT", { ...DB, ports: { "9090": "PERMISSIVE" } });
    const blocks = deny([
      rule({ source: { namespaces: ["web"] }, operation: { ports: ["9090"] } }),
    ]);
    await mesh.enforce(exception, blocks);
    await mesh.assertAllowed(({ client, server, port }) => {
      if (client === "outsider") return server !== "db" || port === 9090;
      return client === "neighbour" || port !== 9090;
    });
  });

  test("taking every PeerAuthentication away opens to plaintext again", async () => {
    await mesh.enforce(peerAuthentication("STRICT", MESH));
    await mesh.enforce();
    await mesh.assertAllowed(always);
  });

  test("whatever was refused was refused by policy", () => mesh.assertRefusalsCounted());
});
