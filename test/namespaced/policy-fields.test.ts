/**
 * Every L4 field of an AuthorizationPolicy, on its way from YAML to a verdict about real
 * connections: each row once as the only thing that is allowed, once as the only thing that is
 * denied.
 */
import { after, before, describe, test } from "node:test";
import { type Call, NODE_BLOCKS, PolicyMesh } from "#test/support/policy-mesh.ts";
import { allow, deny, type RuleParts, rule } from "#test/support/policy-objects.ts";

const FRONTEND = "cluster.local/ns/web/sa/frontend";
const BATCH = "cluster.local/ns/web/sa/batch";

type Parts = RuleParts | ((mesh: PolicyMesh) => RuleParts);

interface Row {
  readonly title: string;
  readonly parts: Parts;
  /** Which calls the rule is about. */
  readonly matches: (call: Call) => boolean;
}

const isFrontend = ({ client }: Call): boolean => client === "frontend";
const isBatch = ({ client }: Call): boolean => client === "batch";
const isWeb = (call: Call): boolean => isFrontend(call) || isBatch(call);
const isNeighbour = ({ client }: Call): boolean => client === "neighbour";
const isPlaintext = ({ client }: Call): boolean => client === "outsider";
const isMeshed = (call: Call): boolean => !isPlaintext(call);
const isIpv4 = ({ family }: Call): boolean => family === "ipv4";
const isIpv6 = ({ family }: Call): boolean => family === "ipv6";
const onNode1 = ({ client }: Call): boolean => client === "frontend" || client === "outsider";
const isDb = ({ server }: Call): boolean => server === "db";
const not =
  (matches: Row["matches"]): Row["matches"] =>
  (call) =>
    !matches(call);
const both =
  (...all: Row["matches"][]): Row["matches"] =>
  (call) =>
    all.every((matches) => matches(call));
const toPorts =
  (...ports: number[]): Row["matches"] =>
  (call) =>
    ports.includes(call.port);
const always = (): boolean => true;
const never = (): boolean => false;

const IDENTITIES: readonly Row[] = [
  row("principals, exact", { source: { principals: [FRONTEND] } }, isFrontend),
  row("principals, several", { source: { principals: [FRONTEND, BATCH] } }, isWeb),
  row("principals, prefix", { source: { principals: ["cluster.local/ns/web/*"] } }, isWeb),
  row("principals, suffix", { source: { principals: ["*/sa/frontend"] } }, (call) => {
    return isFrontend(call) || isNeighbour(call);
  }),
  row("principals, any", { source: { principals: ["*"] } }, isMeshed),
  row(
    "principals of another trust domain",
    { source: { principals: [`other/${FRONTEND}`] } },
    never,
  ),
  row("notPrincipals, exact", { source: { notPrincipals: [FRONTEND] } }, not(isFrontend)),
  row(
    "notPrincipals, prefix",
    { source: { notPrincipals: ["cluster.local/ns/web/*"] } },
    not(isWeb),
  ),
  row("notPrincipals, suffix", { source: { notPrincipals: ["*/sa/batch"] } }, not(isBatch)),
  row("notPrincipals, any", { source: { notPrincipals: ["*"] } }, isPlaintext),
  row(
    "principals without notPrincipals",
    { source: { principals: ["cluster.local/ns/web/*"], notPrincipals: [BATCH] } },
    isFrontend,
  ),
  row("namespaces, exact", { source: { namespaces: ["web"] } }, isWeb),
  row("namespaces, several", { source: { namespaces: ["web", "shop"] } }, isMeshed),
  row("namespaces, prefix", { source: { namespaces: ["sh*"] } }, isNeighbour),
  row("namespaces, suffix", { source: { namespaces: ["*eb"] } }, isWeb),
  row("namespaces, any", { source: { namespaces: ["*"] } }, isMeshed),
  row("namespaces of plaintext", { source: { namespaces: ["outside"] } }, never),
  row("notNamespaces, exact", { source: { notNamespaces: ["web"] } }, not(isWeb)),
  row("notNamespaces, prefix", { source: { notNamespaces: ["we*"] } }, not(isWeb)),
  row("notNamespaces, suffix", { source: { notNamespaces: ["*op"] } }, not(isNeighbour)),
  row("notNamespaces, any", { source: { notNamespaces: ["*"] } }, isPlaintext),
  row(
    "serviceAccounts of its own namespace",
    { source: { serviceAccounts: ["frontend"] } },
    isNeighbour,
  ),
  row(
    "serviceAccounts of another namespace",
    { source: { serviceAccounts: ["web/frontend"] } },
    isFrontend,
  ),
  row(
    "serviceAccounts, several",
    { source: { serviceAccounts: ["web/batch", "frontend"] } },
    (call) => {
      return isBatch(call) || isNeighbour(call);
    },
  ),
  row(
    "notServiceAccounts of its own namespace",
    { source: { notServiceAccounts: ["frontend"] } },
    not(isNeighbour),
  ),
  row(
    "notServiceAccounts of another namespace",
    { source: { notServiceAccounts: ["web/frontend"] } },
    not(isFrontend),
  ),
];

const BLOCKS: readonly Row[] = [
  row(
    "ipBlocks, an IPv4 address",
    (mesh) => ({ source: { ipBlocks: [mesh.ip("frontend", "ipv4")] } }),
    both(isFrontend, isIpv4),
  ),
  row(
    "ipBlocks, an IPv6 address",
    (mesh) => ({ source: { ipBlocks: [mesh.ip("outsider", "ipv6")] } }),
    both(isPlaintext, isIpv6),
  ),
  row(
    "ipBlocks, an IPv4 address in IPv6 notation",
    (mesh) => ({ source: { ipBlocks: [`::ffff:${mesh.ip("frontend", "ipv4")}`] } }),
    both(isFrontend, isIpv4),
  ),
  row(
    "ipBlocks, an IPv4 CIDR",
    { source: { ipBlocks: [NODE_BLOCKS.node1.ipv4] } },
    both(onNode1, isIpv4),
  ),
  row(
    "ipBlocks, an IPv6 CIDR",
    { source: { ipBlocks: [NODE_BLOCKS.node1.ipv6] } },
    both(onNode1, isIpv6),
  ),
  row("ipBlocks, all of IPv4", { source: { ipBlocks: ["0.0.0.0/0"] } }, isIpv4),
  row("ipBlocks, all of IPv6", { source: { ipBlocks: ["::/0"] } }, isIpv6),
  row(
    "ipBlocks of both families",
    { source: { ipBlocks: Object.values(NODE_BLOCKS.node1) } },
    onNode1,
  ),
  row(
    "notIpBlocks, addresses of both families",
    (mesh) => ({
      source: { notIpBlocks: [mesh.ip("frontend", "ipv4"), mesh.ip("frontend", "ipv6")] },
    }),
    not(isFrontend),
  ),
  row(
    "notIpBlocks, an IPv4 CIDR",
    { source: { notIpBlocks: [NODE_BLOCKS.node1.ipv4] } },
    not(both(onNode1, isIpv4)),
  ),
  row(
    "notIpBlocks, an IPv6 CIDR",
    { source: { notIpBlocks: [NODE_BLOCKS.node1.ipv6] } },
    not(both(onNode1, isIpv6)),
  ),
  row(
    "ipBlocks without notIpBlocks",
    (mesh) => ({
      source: {
        ipBlocks: Object.values(NODE_BLOCKS.node1),
        notIpBlocks: [mesh.ip("outsider", "ipv4"), mesh.ip("outsider", "ipv6")],
      },
    }),
    isFrontend,
  ),
  row(
    "namespaces and ipBlocks of one source",
    { source: { namespaces: ["web"], ipBlocks: Object.values(NODE_BLOCKS.node2) } },
    isBatch,
  ),
];

const OPERATIONS: readonly Row[] = [
  row("ports, the container's", { operation: { ports: ["8080"] } }, toPorts(8080)),
  row("ports, the service's", { operation: { ports: ["80"] } }, never),
  row("ports, several", { operation: { ports: ["8080", "7070"] } }, toPorts(8080, 7070)),
  row("ports, HBONE's own", { operation: { ports: ["15008"] } }, never),
  row("notPorts, the container's", { operation: { notPorts: ["8080"] } }, not(toPorts(8080))),
  row("notPorts, the service's", { operation: { notPorts: ["80"] } }, always),
  row(
    "ports without notPorts",
    { operation: { ports: ["8080", "9090"], notPorts: ["9090"] } },
    toPorts(8080),
  ),
];

const CONDITIONS: readonly Row[] = [
  row(
    "when source.ip is",
    (mesh) => ({ when: { key: "source.ip", values: [mesh.ip("batch", "ipv4"), "fd00::/128"] } }),
    both(isBatch, isIpv4),
  ),
  row(
    "when source.ip is not",
    { when: { key: "source.ip", notValues: [NODE_BLOCKS.node2.ipv6] } },
    not(both(not(onNode1), isIpv6)),
  ),
  row(
    "when source.ip is one and not another",
    (mesh) => ({
      when: {
        key: "source.ip",
        values: Object.values(NODE_BLOCKS.node2),
        notValues: [mesh.ip("neighbour", "ipv4"), mesh.ip("neighbour", "ipv6")],
      },
    }),
    isBatch,
  ),
  row("when source.namespace is", { when: { key: "source.namespace", values: ["web"] } }, isWeb),
  row(
    "when source.namespace is not",
    { when: { key: "source.namespace", notValues: ["web"] } },
    not(isWeb),
  ),
  row(
    "when source.namespace is one and not another",
    { when: { key: "source.namespace", values: ["*"], notValues: ["w*"] } },
    isNeighbour,
  ),
  row("when source.principal is", { when: { key: "source.principal", values: [BATCH] } }, isBatch),
  row(
    "when source.principal is not",
    { when: { key: "source.principal", notValues: ["*/sa/frontend"] } },
    (call) => isBatch(call) || isPlaintext(call),
  ),
  row(
    "when source.principal is none",
    { when: { key: "source.principal", notValues: ["*"] } },
    isPlaintext,
  ),
  row(
    "when destination.ip is",
    (mesh) => ({ when: { key: "destination.ip", values: [mesh.ip("db", "ipv6")] } }),
    both(isDb, isIpv6),
  ),
  row(
    "when destination.ip is not",
    { when: { key: "destination.ip", notValues: Object.values(NODE_BLOCKS.node2) } },
    not(isDb),
  ),
  row(
    "when destination.port is",
    { when: { key: "destination.port", values: ["9090"] } },
    toPorts(9090),
  ),
  row(
    "when destination.port is not",
    { when: { key: "destination.port", notValues: ["8080", "9090"] } },
    toPorts(7070),
  ),
];

function row(title: string, parts: Parts, matches: Row["matches"]): Row {
  return { title, parts, matches };
}

describe("a rule about", () => {
  let mesh: PolicyMesh;
  before(async () => {
    mesh = await PolicyMesh.start();
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  for (const { title, parts, matches } of [
    ...IDENTITIES,
    ...BLOCKS,
    ...OPERATIONS,
    ...CONDITIONS,
  ]) {
    const policyRule = () => rule(typeof parts === "function" ? parts(mesh) : parts);
    const covered = ({ server }: Call): boolean => server !== "staging";

    test(`${title} allows just that, in its namespace`, async () => {
      await mesh.enforce(allow([policyRule()]));
      await mesh.assertAllowed((call) => !covered(call) || matches(call));
    });

    test(`${title} denies just that, in its namespace`, async () => {
      await mesh.enforce(deny([policyRule()]));
      await mesh.assertAllowed((call) => !covered(call) || !matches(call));
    });
  }

  test("whatever was refused was refused by policy", () => mesh.assertRefusalsCounted());
});
