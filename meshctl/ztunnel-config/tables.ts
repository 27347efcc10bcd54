/**
 * The tables of `istioctl ztunnel-config`, byte for byte but for spaces at the ends of lines:
 * columns, words and distances are those of istio/istio istioctl/pkg/writer/ztunnel/configdump.
 */
import type { JsonObject } from "#common/runtime/json-object.ts";
import { formatTable } from "#meshctl/table.ts";
import { objectOf, objectsOf, textOf, textsOf, type ZtunnelDump } from "./dump.ts";
import { selectByNamespace, selectStates, selectWorkloads } from "./select.ts";

const GAP = 1;
const CERTIFICATES_GAP = 5;

export function workloadTable(dump: ZtunnelDump, workloads: readonly JsonObject[]): string {
  const waypoint = waypointNames(dump.services);
  const header = ["NAMESPACE", "POD NAME", "ADDRESS", "NODE", "WAYPOINT", "PROTOCOL"];
  const rows = workloads.map((workload) => [
    textOf(workload, "namespace"),
    textOf(workload, "name"),
    textsOf(workload, "workloadIps").join(",") || textOf(workload, "hostname"),
    textOf(workload, "node"),
    waypoint(workload),
    textOf(workload, "protocol"),
  ]);
  return table(header, rows, GAP);
}

export function serviceTable(dump: ZtunnelDump, services: readonly JsonObject[]): string {
  const waypoint = waypointNames(dump.services);
  const healthy = new Set(
    dump.workloads
      .filter((workload) => textOf(workload, "status") === "Healthy")
      .map((workload) => textOf(workload, "uid")),
  );
  const header = ["NAMESPACE", "SERVICE NAME", "SERVICE VIP", "WAYPOINT", "ENDPOINTS"];
  const rows = services.map((service) => {
    const endpoints = objectsOf(service.endpoints);
    const good = endpoints.filter((endpoint) => healthy.has(textOf(endpoint, "workloadUid")));
    return [
      textOf(service, "namespace"),
      textOf(service, "name"),
      textsOf(service, "vips").map(ipOf).join(","),
      waypoint(service),
      `${good.length}/${endpoints.length}`,
    ];
  });
  return table(header, rows, GAP);
}

export function policyTable(policies: readonly JsonObject[]): string {
  const header = ["NAMESPACE", "POLICY NAME", "ACTION", "SCOPE"];
  const keys = ["namespace", "name", "action", "scope"];
  const rows = policies.map((policy) => keys.map((key) => textOf(policy, key)));
  return table(header, rows, GAP);
}

/** `now` decides which certificates are valid. */
export function certificateTable(certificates: readonly JsonObject[], now: Date): string {
  const header = [
    "CERTIFICATE NAME",
    "TYPE",
    "STATUS",
    "VALID CERT",
    "SERIAL NUMBER",
    "NOT AFTER",
    "NOT BEFORE",
  ];
  const rows = certificates.flatMap((entry) => certificateRows(entry, now));
  return table(header, rows, CERTIFICATES_GAP);
}

function certificateRows(entry: JsonObject, now: Date): string[][] {
  const identity = textOf(entry, "identity");
  const state = textOf(entry, "state");
  const status = state.includes("Unavailable") ? "Unavailable" : state;
  const chain = objectsOf(entry.certChain);
  if (chain.length === 0) return [[identity, "NA", status, "false", "NA", "NA", "NA"]];
  const roots = objectsOf(entry.rootCerts);
  const row = (type: string, certificate: JsonObject) => [
    ...[identity, type, status, String(isValid(certificate, now))],
    hexadecimal(textOf(certificate, "serialNumber")),
    textOf(certificate, "expirationTime") || "NA",
    textOf(certificate, "validFrom") || "NA",
  ];
  return [
    ...chain.map((certificate, i) => row(chainType(i, chain, roots), certificate)),
    ...roots.map((certificate) => row("Root", certificate)),
  ];
}

/** Old ztunnels put the root at the end of the chain. */
function chainType(i: number, chain: readonly unknown[], roots: readonly unknown[]): string {
  if (i === 0) return "Leaf";
  return i === chain.length - 1 && roots.length === 0 ? "Root" : "Intermediate";
}

function isValid(certificate: JsonObject, now: Date): boolean {
  const from = Date.parse(textOf(certificate, "validFrom"));
  const until = Date.parse(textOf(certificate, "expirationTime"));
  return from < now.getTime() && now.getTime() < until;
}

function hexadecimal(decimal: string): string {
  return /^\d{1,200}$/.test(decimal) ? BigInt(decimal).toString(16) : decimal;
}

/** Names are a dump's own, and need not be harmless to a terminal. */
function table(header: readonly string[], rows: readonly string[][], gap: number): string {
  return formatTable(
    header,
    rows.map((row) => row.map((cell) => cell.replace(/\p{Cc}/gu, "?"))),
    gap,
  );
}

/** With `raw`, addresses are not replaced by the names that they belong to. */
export function connectionTable(
  dump: ZtunnelDump,
  states: readonly JsonObject[],
  raw: boolean,
): string {
  const name = raw ? (address: string) => address : addressNames(dump);
  const header = ["WORKLOAD", "DIRECTION", "LOCAL", "REMOTE", "REMOTE TARGET", "PROTOCOL"];
  const rows = states.flatMap((state) => {
    const info = objectOf(state, "info") ?? {};
    const { inbound, outbound } = objectOf(state, "connections") ?? {};
    const workload = `${textOf(info, "name")}.${textOf(info, "namespace")}`;
    const row = (direction: string, from: JsonObject, cells: readonly string[]) => [
      ...[workload, direction, ...cells],
      textOf(from, "protocol"),
    ];
    const text = (connection: JsonObject, key: string) => name(textOf(connection, key));
    return [
      ...objectsOf(inbound).map((c) =>
        row("Inbound", c, [text(c, "actualDst"), text(c, "src"), textOf(c, "originalDst")]),
      ),
      ...objectsOf(outbound).map((c) =>
        row("Outbound", c, [text(c, "src"), text(c, "actualDst"), text(c, "originalDst")]),
      ),
    ];
  });
  return table(header, rows, GAP);
}

/** Everything, one table after the other. */
export function allTables(dump: ZtunnelDump, withHeaders: boolean, now: Date): string {
  const tables = [
    ["WORKLOAD", workloadTable(dump, selectWorkloads(dump.workloads, {}))],
    ["SERVICE", serviceTable(dump, selectByNamespace(dump.services, undefined))],
    ["POLICY", policyTable(selectByNamespace(dump.policies, undefined))],
    ["SECRET", certificateTable(dump.certificates, now)],
    ["CONNECTIONS", connectionTable(dump, selectStates(dump.workloadStates, {}), false)],
  ];
  return tables
    .map(([title, table]) => `\n${withHeaders ? `------ ${title} INFO ------\n\n` : ""}${table}`)
    .join("");
}

/** From a workload or service to the name of its waypoint's service. */
function waypointNames(services: readonly JsonObject[]): (bound: JsonObject) => string {
  const names = new Map<string, string>();
  for (const service of services) {
    const hostname = `${textOf(service, "namespace")}/${textOf(service, "hostname")}`;
    for (const destination of [hostname, ...textsOf(service, "vips")]) {
      if (!names.has(destination)) names.set(destination, textOf(service, "name"));
    }
  }
  return (bound) => {
    const waypoint = objectOf(bound, "waypoint");
    if (waypoint === undefined) return "None";
    return names.get(textOf(waypoint, "destination")) ?? "NA";
  };
}

/** From `ip:port` to `name:port`; a service's address is the service's before it is anyone's. */
function addressNames({ services, workloads }: ZtunnelDump): (address: string) => string {
  const names = new Map<string, string>();
  for (const workload of workloads) {
    const name = `${textOf(workload, "name")}.${textOf(workload, "namespace")}`;
    for (const ip of textsOf(workload, "workloadIps")) names.set(ip, name);
  }
  for (const service of services) {
    for (const vip of textsOf(service, "vips")) names.set(ipOf(vip), textOf(service, "hostname"));
  }
  return (address) => {
    const [, ip = "", port = ""] = /^\[?([^\]]+)\]?:(\d+)$/.exec(address) ?? [];
    const name = names.get(ip);
    return name === undefined ? address : `${name}:${port}`;
  };
}

/** Of `network/ip`. */
function ipOf(networkAddress: string): string {
  return networkAddress.slice(networkAddress.indexOf("/") + 1);
}
