/**
 * A request as a span: named and tagged as Envoy's and Istio's are, so that Kiali and Jaeger show
 * waypoints as they show Istio's.
 */
import type { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { formatSocketAddress } from "#common/model/ip.ts";
import type { Telemetry } from "#common/model/waypoint/policy.ts";
import type { Workload } from "#common/model/workload.ts";
import type { RequestRecord } from "../proxy/request-record.ts";
import { clusterName } from "./access-log.ts";
import { LOGGED_CHARACTERS } from "./limits.ts";
import { requestProtocol, responseFlags } from "./request-labels.ts";
import type { SpanIds } from "./trace-context.ts";

/** As OpenTelemetry's encoder takes it. */
export type Span = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0][number];
type Attributes = Record<string, string | number | boolean>;
type CustomTags = NonNullable<Telemetry["tracing"]>["customTags"];

/** The waypoint itself, as it is named in every span. */
export interface TracedProxy {
  readonly name: string;
  readonly namespace: string;
  readonly clusterId: string;
  /** Istio's mesh id: the trust domain unless it is set. */
  readonly meshId: string;
  readonly podName: string;
}

/** Numbers of OpenTelemetry's SpanKind and SpanStatusCode. */
const SERVER = 1;
const UNSET = 0;
const ERROR = 2;
const SAMPLED = 1;

export function makeSpan(
  record: RequestRecord,
  ids: SpanIds,
  customTags: CustomTags,
  proxy: TracedProxy,
  resource: Span["resource"],
): Span {
  const { traceId, spanId, parentSpanId } = ids;
  const context = (id: string) => ({ traceId, spanId: id, traceFlags: SAMPLED });
  const failed = record.status === 0 || record.status >= 500;
  return {
    name: operation(record),
    kind: SERVER,
    spanContext: () => context(spanId),
    ...(parentSpanId !== undefined && { parentSpanContext: context(parentSpanId) }),
    startTime: hrTime(record.startedAtMs),
    endTime: hrTime(record.startedAtMs + record.durationMs),
    duration: hrTime(record.durationMs),
    status: { code: failed ? ERROR : UNSET },
    attributes: {
      ...requestTags(record),
      ...meshTags(record, proxy),
      ...(failed && { error: true }),
      ...custom(customTags, record),
    },
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: { name: "ambient-mesh.waypoint" },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** What makes the spans, once for all of them. */
export function makeResource(proxy: TracedProxy): Span["resource"] {
  const attributes: Attributes = {
    "service.name": `${proxy.name}.${proxy.namespace}`,
    "k8s.namespace.name": proxy.namespace,
    "k8s.pod.name": proxy.podName,
    "k8s.cluster.name": proxy.clusterId,
  };
  const resource: Span["resource"] = {
    attributes,
    merge: () => resource,
    getRawAttributes: () => Object.entries(attributes),
  };
  return resource;
}

/** Istio's: the service and port that were asked for. */
function operation({ context }: RequestRecord): string {
  const { service, destination } = context.downstream;
  return `${service?.hostname ?? destination.host}:${destination.port}/*`;
}

function requestTags(record: RequestRecord): Attributes {
  const { context, backend, endpoint } = record;
  const { head, downstream, id } = context;
  const url = `${head.scheme}://${head.authority}${head.path}`;
  return {
    component: "proxy",
    "guid:x-request-id": id,
    "http.method": head.method,
    "http.protocol": head.version === "2" ? "HTTP/2" : `HTTP/${head.version}`,
    "http.url": cut(url.replace(/\?.*/, "")),
    "http.status_code": `${record.status}`,
    user_agent: cut(head.headers.get("user-agent") ?? "-"),
    request_size: `${record.requestBytes}`,
    response_size: `${record.responseBytes}`,
    response_flags: responseFlags(record),
    "peer.address": downstream.source.ip,
    ...(record.grpcStatus !== undefined && { "grpc.status_code": `${record.grpcStatus}` }),
    ...(backend !== undefined && { upstream_cluster: clusterName(backend) }),
    ...(endpoint !== undefined && { upstream_address: formatSocketAddress(endpoint.address) }),
    ...(record.attempts > 1 && { "retry.count": record.attempts - 1 }),
  };
}

/** Source: istio/istio tests/integration/ambient, and ambient.md F157. */
function meshTags(record: RequestRecord, proxy: TracedProxy): Attributes {
  const { peer, sourceWorkload } = record.context.downstream;
  const destination = record.endpoint?.workload;
  const source = sides(sourceWorkload, peer.namespace);
  const target = sides(destination, "unknown");
  return {
    node_id: `waypoint~${proxy.podName}.${proxy.namespace}`,
    "istio.mesh_id": proxy.meshId,
    "istio.cluster_id": proxy.clusterId,
    "istio.namespace": proxy.namespace,
    "istio.canonical_service": proxy.name,
    "istio.canonical_revision": "latest",
    "istio.source_workload": source.workload,
    "istio.source_namespace": source.namespace,
    "istio.destination_workload": target.workload,
    "istio.destination_namespace": target.namespace,
    "istio.downstream.workload": source.workload,
    "istio.downstream.namespace": source.namespace,
    "istio.upstream.workload": target.workload,
    "istio.upstream.namespace": target.namespace,
    "request.protocol": requestProtocol(record),
  };
}

function sides(workload: Workload | undefined, namespace: string) {
  return {
    workload: workload?.workloadName ?? "unknown",
    namespace: workload?.namespace ?? namespace,
  };
}

function custom(tags: CustomTags, { context }: RequestRecord): Attributes {
  const attributes: Attributes = {};
  for (const [name, { kind, value }] of Object.entries(tags)) {
    const text = kind === "literal" ? value : context.head.headers.combined(value.toLowerCase());
    if (text !== undefined) attributes[name] = cut(text);
  }
  return attributes;
}

function cut(text: string): string {
  return text.slice(0, LOGGED_CHARACTERS);
}

/** Seconds and nanoseconds. */
function hrTime(milliseconds: number): [number, number] {
  const seconds = Math.floor(milliseconds / 1_000);
  return [seconds, Math.round((milliseconds - seconds * 1_000) * 1e6)];
}
