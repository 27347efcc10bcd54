/**
 * The access log of requests: one line each, in Istio's default text format for Envoy or as JSON
 * with Istio's keys (istio.io/latest/docs/tasks/observability/logs/access-log). Keys of our own
 * come last: `response_detail`, `notes`, `trace_id`.
 */
import { formatSocketAddress } from "#common/model/ip.ts";
import type { BackendRef, Origin } from "#common/model/waypoint/http-route.ts";
import type { RequestRecord } from "../proxy/request-record.ts";
import { LOGGED_CHARACTERS } from "./limits.ts";
import { responseFlags } from "./request-labels.ts";

/** `trace`: the id of the trace that the request belongs to. */
export function formatRequest(
  record: RequestRecord,
  format: "text" | "json",
  trace: string | undefined,
): string {
  const fields = fieldsOf(record);
  return format === "json" ? jsonLine(record, fields, trace) : textLine(record, fields);
}

type Fields = ReturnType<typeof fieldsOf>;

function fieldsOf(record: RequestRecord) {
  const { context, endpoint, backend, route, upstreamMs } = record;
  const { head, downstream, id } = context;
  const { headers } = head;
  const failedConnect = record.flags.includes("UF");
  return {
    start_time: new Date(record.startedAtMs).toISOString(),
    method: head.method,
    path: shown(withoutToken(head.path)),
    protocol: head.version === "2" ? "HTTP/2" : `HTTP/${head.version}`,
    response_code: record.status,
    response_flags: responseFlags(record),
    response_code_details: record.reason ?? "via_upstream",
    connection_termination_details: null,
    upstream_transport_failure_reason: failedConnect ? shown(record.detail) : null,
    bytes_received: record.requestBytes,
    bytes_sent: record.responseBytes,
    duration: Math.round(record.durationMs),
    upstream_service_time: upstreamMs === undefined ? null : `${Math.round(upstreamMs)}`,
    x_forwarded_for: shown(headers.combined("x-forwarded-for")),
    user_agent: shown(headers.get("user-agent")),
    request_id: id,
    authority: shown(head.authority),
    upstream_host: endpoint === undefined ? null : formatSocketAddress(endpoint.address),
    upstream_cluster: backend === undefined ? null : clusterName(backend),
    upstream_local_address: null,
    downstream_local_address: `${downstream.destination.host}:${downstream.destination.port}`,
    downstream_remote_address: formatSocketAddress(downstream.source),
    requested_server_name: downstream.sni ?? null,
    route_name: route === undefined ? null : routeName(route),
  };
}

function jsonLine({ detail, context }: RequestRecord, fields: Fields, trace: string | undefined) {
  const { notes } = context;
  return `${JSON.stringify({
    ...fields,
    ...(detail !== undefined && { response_detail: shown(detail) }),
    ...(notes.length > 0 && { notes }),
    ...(trace !== undefined && { trace_id: trace }),
  })}\n`;
}

/** Istio's order. What is unknown is `-`; notes, where there are any, stand at the end. */
function textLine({ detail, context }: RequestRecord, f: Fields): string {
  const details =
    detail === undefined ? f.response_code_details : `${f.response_code_details}{${word(detail)}}`;
  const line = [
    `[${f.start_time}] "${escaped(`${f.method} ${f.path} ${f.protocol}`)}"`,
    `${f.response_code} ${f.response_flags} ${details} -`,
    quoted(f.upstream_transport_failure_reason),
    `${f.bytes_received} ${f.bytes_sent} ${f.duration} ${f.upstream_service_time ?? "-"}`,
    `${quoted(f.x_forwarded_for)} ${quoted(f.user_agent)} ${quoted(f.request_id)}`,
    `${quoted(f.authority)} ${quoted(f.upstream_host)} ${word(f.upstream_cluster)} -`,
    `${f.downstream_local_address} ${f.downstream_remote_address}`,
    `${word(f.requested_server_name)} ${word(f.route_name)}`,
  ].join(" ");
  const { notes } = context;
  return notes.length === 0 ? `${line}\n` : `${line} ${quoted(notes.join("; "))}\n`;
}

/** As Istio names what a waypoint forwards to. */
export function clusterName({ hostname, port, subset }: BackendRef): string {
  return `inbound-vip|${port}|http${subset === undefined ? "" : `/${subset}`}|${hostname}`;
}

export function routeName({ kind, namespace, name, rule, ruleName }: Origin): string {
  return `${kind}/${namespace}/${name}[${ruleName ?? rule}]`;
}

/** A token that is sent as a parameter (RFC 6750 2.3) is nobody's to read later. */
function withoutToken(path: string): string {
  return path.includes("access_token=") ? path.replace(/(access_token=)[^&]*/g, "$1...") : path;
}

function shown(text: string | undefined): string | null {
  return text === undefined || text === "" ? null : text.slice(0, LOGGED_CHARACTERS);
}

function quoted(text: string | null): string {
  return `"${text === null ? "-" : escaped(text)}"`;
}

/** Unquoted, so without a space. */
function word(text: string | null): string {
  return text === null || text === "" ? "-" : escaped(text).replaceAll(" ", "_");
}

/** Nothing that ends a field, a line or a terminal's patience. */
function escaped(text: string): string {
  return text.replace(/["\\]|[^\x20-\x7e]/g, (character) =>
    character === '"' || character === "\\"
      ? `\\${character}`
      : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
