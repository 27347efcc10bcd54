/**
 * The access log: one line per finished connection, with Istio ztunnel's fields in Istio's order
 * (ambient.md F154), and `reason`, `policy`, `dry_run.*` and `audit.*` of our own at the end.
 */
import type {
  ConnectionLabels,
  ConnectionRecord,
  EndpointLabels,
  PolicyReport,
  RecordFailure,
} from "./connection-record.ts";
import { POLICIES_TOLD } from "./limits.ts";

export type FinishedConnection = Extract<ConnectionRecord, { event: "closed" | "refused" }>;

/**
 * A field is left out when its value is undefined; numbers and addresses stand bare, text is
 * quoted.
 */
type Field = readonly [name: string, value: string | number | undefined, bare?: "bare"];

export function formatAccessLog(
  record: FinishedConnection,
  labels: ConnectionLabels,
  format: "text" | "json",
): string {
  const time = new Date(record.at).toISOString();
  const level = accessLogLevel(record);
  const fields = fieldsOf(record, labels).filter(([, value]) => value !== undefined);
  if (format === "json") {
    const base = { level, time, scope: "access", message: MESSAGE };
    return `${JSON.stringify({ ...base, ...Object.fromEntries(fields) })}\n`;
  }
  const text = fields.map(([name, value, bare]) => {
    const printed = typeof value === "string" && bare === undefined ? JSON.stringify(value) : value;
    return `${name}=${printed}`;
  });
  return `${time}\t${level}\taccess\t${MESSAGE}\t${text.join(" ")}\n`;
}

const MESSAGE = "connection complete";

export function accessLogLevel(record: FinishedConnection): "error" | "info" {
  return isError(record) ? "error" : "info";
}

/** A reset by either application is how many connections end: it is told, but it is no error. */
function isError({ event, failure }: FinishedConnection): boolean {
  return failure !== undefined && (event === "refused" || failure.reason !== "peer-reset");
}

function fieldsOf(record: FinishedConnection, labels: ConnectionLabels): readonly Field[] {
  const { total, failure } = record;
  // The side that reports sends: the client's bytes at the source, the server's at the destination.
  const outbound = labels.reporter === "source";
  const identified = labels.security !== "unknown";
  const sent = outbound ? total.fromClient : total.fromServer;
  const received = outbound ? total.fromServer : total.fromClient;
  return [
    ["src.addr", orAbsent(record.sourceAddress), "bare"],
    ...endpointFields("src", labels.source, identified),
    ["dst.addr", orAbsent(record.destinationAddress), "bare"],
    ["dst.hbone_addr", orAbsent(record.hboneAddress), "bare"],
    ["dst.service", labels.service?.hostname],
    ...endpointFields("dst", labels.destination, identified),
    ["direction", outbound ? "outbound" : "inbound"],
    ["bytes_sent", sent],
    ["bytes_recv", received],
    ["duration", `${Math.floor(record.durationMs)}ms`],
    ...failureFields(failure, isError(record)),
    ...reportFields(record.report),
  ];
}

function endpointFields(
  side: "src" | "dst",
  endpoint: EndpointLabels,
  identified: boolean,
): readonly Field[] {
  return [
    [`${side}.workload`, orAbsent(endpoint.name)],
    [`${side}.namespace`, orAbsent(endpoint.namespace)],
    [`${side}.identity`, identified ? orAbsent(endpoint.principal) : undefined],
    [`${side}.cluster`, orAbsent(endpoint.cluster)],
  ];
}

function failureFields(failure: RecordFailure | undefined, error: boolean): readonly Field[] {
  if (failure === undefined) return [];
  return [
    ["error", error ? failure.message : undefined],
    ["reason", failure.reason],
    ["policy", failure.policy],
  ];
}

/** Dry runs and AUDIT: what the policies that decide nothing said. */
function reportFields(report: PolicyReport | undefined): readonly Field[] {
  if (report === undefined) return [];
  const { dryRun, audited } = report;
  const matched = dryRun?.matched.slice(0, POLICIES_TOLD).map(({ policy }) => policy) ?? [];
  return [
    ["dry_run.result", dryRun && (dryRun.allowed ? "allow" : "deny")],
    ["dry_run.policies", orAbsent(matched.join(","))],
    ["audit.policies", orAbsent(audited.slice(0, POLICIES_TOLD).join(","))],
  ];
}

function orAbsent(text: string): string | undefined {
  return text === "" ? undefined : text;
}
