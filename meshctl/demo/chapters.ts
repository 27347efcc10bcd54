/**
 * The chapters of the tour. Each shows one claim with commands that anyone could type, and checks
 * it.
 */
import { CAPTURE_REPAIRS_ANNOTATION } from "#common/model/captured-pod.ts";
import type { Narrator } from "./narrator.ts";
import type { Stage } from "./stage.ts";
import { WAYPOINT_CHAPTERS } from "./waypoint-chapters.ts";

export type Chapter = (stage: Stage, narrator: Narrator) => Promise<void>;

const CARD = "4242-4242-4242-4242";
const CHARGE = ["curl", "-sS", "-m", "5", "http://payments.payments/charge?amount=42"];
const GOODS = ["curl", "-sS", "-m", "5", "http://catalog.catalog/goods"];
const MESHED = ["storefront", "catalog", "payments"];

export const CHAPTERS: readonly Chapter[] = [
  plaintext,
  enrolment,
  transparency,
  encryption,
  authorization,
  strict,
  watchdog,
  metrics,
  ...WAYPOINT_CHAPTERS,
];

async function plaintext(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter("The shop runs on two nodes, and nothing of it is in the mesh");
  await narrator.meshctl("get", "pods", "-A");
  const fabric = await stage.capture(async () => {
    await narrator.meshctl("exec", "deploy/storefront", "-n", "storefront", "--", ...CHARGE);
  });
  narrator.lines("tcpdump -A on the wire between the nodes", grep(fabric, CARD));
  narrator.proves("anyone on the wire reads the card number", fabric.includes(CARD));
}

async function enrolment(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter("Three namespaces join the mesh: one label each, no pod restarted");
  const before = await podNames(stage);
  narrator.say(`(three files edited: istio.io/dataplane-mode: ambient on ${MESHED.join(", ")})`);
  const startedAt = performance.now();
  await stage.enrol(MESHED);
  await stage.waitFor("all pods of the three namespaces are captured", () => enrolled(stage));
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  await narrator.meshctl("get", "pods", "-A");
  const same = JSON.stringify(before) === JSON.stringify(await podNames(stage));
  narrator.proves(
    `captured ${seconds} s after the label; the same pods as before, not restarted`,
    same,
  );
}

async function transparency(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter("The apps notice nothing: same call, same answer, same client address");
  const address = await podAddress(stage, "storefront");
  const answer = await narrator.meshctl(
    ...["exec", "deploy/storefront", "-n", "storefront", "--", ...CHARGE],
  );
  narrator.proves(
    `payments still sees its client's own address, ${address}`,
    answer.output.includes(`client=${address}`),
  );
  narrator.say("Both ends wrote down who talked to whom:");
  const outbound = await accessLog(stage, ["ztunnel-node1"], /dst\.namespace="payments".*outbound/);
  const inbound = await accessLog(stage, ["ztunnel-node2"], /dst\.namespace="payments".*inbound/);
  narrator.lines("meshctl logs ztunnel-node1 -n istio-system", outbound.slice(-1));
  narrator.lines("meshctl logs ztunnel-node2 -n istio-system", inbound.slice(-1));
  const identities = [
    'src.identity="spiffe://cluster.local/ns/storefront/sa/storefront"',
    'dst.identity="spiffe://cluster.local/ns/payments/sa/payments"',
  ];
  const last = [outbound.at(-1) ?? "", inbound.at(-1) ?? ""];
  narrator.proves(
    "the client's side and the server's side name the same two identities, proved by certificates",
    last.every((line) => identities.every((identity) => line.includes(identity))),
  );
}

async function encryption(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter("On the wire there is only TLS now");
  const fabric = await stage.capture(async () => {
    await narrator.meshctl("exec", "deploy/storefront", "-n", "storefront", "--", ...CHARGE);
  });
  const packets = fabric.split("\n").filter((line) => /\.15008[ :]/.test(line));
  narrator.lines("tcpdump -A on the wire between the nodes", packets.slice(0, 3));
  narrator.lines(`… | grep ${CARD}`, grep(fabric, CARD));
  narrator.proves(
    `${packets.length} packets on port 15008, and the card number in none of them`,
    packets.length > 0 && !fabric.includes(CARD),
  );
}

const ONLY_STOREFRONT = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: only-storefront
  namespace: payments
spec:
  rules:
    - from:
        - source:
            principals: ["cluster.local/ns/storefront/sa/storefront"]
      to:
        - operation:
            ports: ["8080"]
`;

async function authorization(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter("Only the storefront may charge cards");
  const asCatalog = ["exec", "deploy/catalog", "-n", "catalog", "--", ...CHARGE];
  const before = await narrator.meshctl(...asCatalog);
  narrator.proves("without a policy the catalog can charge cards, too", before.exitCode === 0);
  narrator.lines("cat only-storefront.yaml", ONLY_STOREFRONT.trimEnd().split("\n"));
  await stage.apply("only-storefront.yaml", ONLY_STOREFRONT);
  await stage.waitFor("the policy is enforced", async () => {
    return (await stage.meshctl(asCatalog)).exitCode !== 0;
  });
  const refused = await narrator.meshctl(...asCatalog);
  const allowed = await narrator.meshctl(
    ...["exec", "deploy/storefront", "-n", "storefront", "--", ...CHARGE],
  );
  const denials = await accessLog(stage, ["ztunnel-node2"], /no-allow-matched/);
  narrator.lines("meshctl logs ztunnel-node2 -n istio-system", denials.slice(-1));
  narrator.proves(
    "the same call is refused for the catalog and allowed for the storefront; the log says why",
    refused.exitCode !== 0 && allowed.exitCode === 0 && denials.length > 0,
  );
}

const STRICT = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: default
  namespace: catalog
spec:
  mtls:
    mode: STRICT
`;

async function strict(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter("Plaintext is let in until you say STRICT");
  const asLegacy = ["exec", "deploy/reports", "-n", "legacy", "--", ...GOODS];
  const before = await narrator.meshctl(...asLegacy);
  narrator.proves("a pod outside the mesh reaches the catalog in plaintext", before.exitCode === 0);
  narrator.lines("cat strict.yaml", STRICT.trimEnd().split("\n"));
  await stage.apply("strict.yaml", STRICT);
  await stage.waitFor("STRICT is enforced", async () => {
    return (await stage.meshctl(asLegacy)).exitCode !== 0;
  });
  const refused = await narrator.meshctl(...asLegacy);
  const meshed = await narrator.meshctl(
    ...["exec", "deploy/storefront", "-n", "storefront", "--", ...GOODS],
  );
  // The catalog has a pod on each node: the ztunnel of the one that was called has logged it.
  const denials = await accessLog(stage, ["ztunnel-node1", "ztunnel-node2"], /explicit-deny/);
  narrator.lines("meshctl logs ztunnel-… -n istio-system", denials.slice(-1));
  narrator.proves(
    "STRICT refuses the plaintext client and not the meshed one",
    refused.exitCode !== 0 && meshed.exitCode === 0 && denials.length > 0,
  );
}

async function watchdog(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter("Somebody flushes a pod's rules: noticed, put back, and said on the pod");
  const pod = await podOf(stage, "storefront");
  const name = pod?.metadata.name ?? "";
  const flushedAt = performance.now();
  await narrator.onPod("storefront", name, ["nft", "flush", "ruleset"]);
  await stage.waitFor("the repair is said on the pod", async () => {
    const { annotations = {} } = (await podOf(stage, "storefront"))?.metadata ?? {};
    return annotations[CAPTURE_REPAIRS_ANNOTATION] !== undefined;
  });
  const seconds = ((performance.now() - flushedAt) / 1000).toFixed(1);
  const rules = await narrator.onPod("storefront", name, ["nft", "list", "tables"]);
  await narrator.meshctl("get", "pods", "-n", "storefront");
  const repairs = await accessLog(stage, ["ztunnel-node1"], /capture was lost/);
  narrator.lines("meshctl logs ztunnel-node1 -n istio-system", repairs.slice(-1));
  const answer = await narrator.meshctl(
    ...["exec", "deploy/storefront", "-n", "storefront", "--", ...CHARGE],
  );
  narrator.proves(
    `all of it is back and said ${seconds} s after the flush; calls go on as before`,
    rules.output.includes("istio-ambient-nat") && answer.exitCode === 0,
  );
}

async function metrics(_stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter("And it is counted, under the names that Istio's dashboards know");
  const url = "http://localhost:15020/metrics";
  const charges = await narrator.onNode("node2", ["curl", "-sS", url], (line) =>
    /^istio_tcp_connections_(opened|failed)_total.*destination_workload="payments"/.test(line),
  );
  narrator.proves(
    "opened and refused connections to payments, with both principals as labels",
    /failed.*source_principal="spiffe:\/\/cluster.local\/ns\/catalog/.test(charges.output),
  );
}

function grep(text: string, needle: string): string[] {
  const lines = text.split("\n").filter((line) => line.includes(needle));
  return lines.length === 0 ? ["(no line)"] : lines.slice(0, 2).map(printable);
}

/** Bytes of a packet as a terminal may show them. */
function printable(line: string): string {
  return line.replace(/[^\x20-\x7e]/g, ".");
}

/** The lines of these ztunnels' logs that match, as soon as there are any. */
async function accessLog(
  stage: Stage,
  ztunnels: readonly string[],
  wanted: RegExp,
): Promise<string[]> {
  let lines: string[] = [];
  await stage.waitFor(`${ztunnels.join(" or ")} has logged ${wanted}`, async () => {
    const logs = await Promise.all(
      ztunnels.map((name) => stage.meshctl(["logs", name, "-n", "istio-system"])),
    );
    lines = logs.flatMap(({ output }) => output.split("\n")).filter((line) => wanted.test(line));
    return lines.length > 0;
  });
  return lines;
}

interface ListedPod {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly status?: { readonly podIP?: string };
}

async function pods(stage: Stage): Promise<readonly ListedPod[]> {
  const { output } = await stage.meshctl(["get", "pods", "-A", "-o", "json"]);
  const { items } = JSON.parse(output) as { items: readonly ListedPod[] };
  return items.filter(({ metadata }) => MESHED.includes(metadata.namespace));
}

async function enrolled(stage: Stage): Promise<boolean> {
  const all = await pods(stage);
  const captured = all.filter(
    ({ metadata }) => metadata.annotations?.["ambient.istio.io/redirection"] === "enabled",
  );
  return all.length > 0 && captured.length === all.length;
}

async function podNames(stage: Stage): Promise<readonly string[]> {
  return (await pods(stage)).map(({ metadata }) => metadata.name).sort();
}

async function podOf(stage: Stage, namespace: string): Promise<ListedPod | undefined> {
  return (await pods(stage)).find(({ metadata }) => metadata.namespace === namespace);
}

async function podAddress(stage: Stage, namespace: string): Promise<string> {
  return (await podOf(stage, namespace))?.status?.podIP ?? "";
}
