/**
 * Istio's labels of a request (ambient.md F153). None of them is a client's to choose: names come
 * from the mesh, and status codes and protocols are few.
 */

import { workloadIdentity } from "#common/model/workload.ts";
import type { EndpointLabels } from "#common/telemetry/connection-record.ts";
import { endpointLabels } from "#common/telemetry/endpoint-labels.ts";
import type { RequestRecord } from "../proxy/request-record.ts";
import { isGrpc } from "../route/request-view.ts";

const UNKNOWN = "unknown";

/** By name, without those that `removed` names (Istio's tagOverrides with REMOVE). */
export function requestLabels(
  record: RequestRecord,
  removed: readonly string[],
): Record<string, string> {
  const { downstream } = record.context;
  const { endpoint } = record;
  const inMesh = endpoint?.transport === "hbone";
  const labels: Record<string, string> = {
    reporter: "waypoint",
    ...sideLabels("source", endpointLabels(downstream.sourceWorkload, downstream.peer)),
    ...sideLabels(
      "destination",
      endpointLabels(endpoint?.workload, inMesh ? workloadIdentity(endpoint.workload) : undefined),
    ),
    ...serviceLabels(record),
    request_protocol: requestProtocol(record),
    response_code: `${record.status}`,
    grpc_response_status: grpcStatus(record.grpcStatus),
    response_flags: responseFlags(record),
    connection_security_policy: "mutual_tls",
  };
  for (const name of removed) delete labels[name];
  return labels;
}

/** What a request beyond the bound of series is counted under. */
export function overflowLabels(): Record<string, string> {
  return { reporter: "waypoint", destination_service: UNKNOWN, response_code: UNKNOWN };
}

export function requestProtocol({ context }: RequestRecord): "grpc" | "http" {
  return isGrpc(context.head) ? "grpc" : "http";
}

/** Envoy's notation. */
export function responseFlags({ flags }: RequestRecord): string {
  return flags.length === 0 ? "-" : flags.join(",");
}

function sideLabels(
  side: "source" | "destination",
  endpoint: EndpointLabels,
): Record<string, string> {
  return {
    [`${side}_workload`]: orUnknown(endpoint.workload),
    [`${side}_workload_namespace`]: orUnknown(endpoint.namespace),
    [`${side}_principal`]: orUnknown(endpoint.principal),
    [`${side}_app`]: orUnknown(endpoint.canonicalService),
    [`${side}_version`]: orUnknown(endpoint.canonicalRevision),
    [`${side}_canonical_service`]: orUnknown(endpoint.canonicalService),
    [`${side}_canonical_revision`]: orUnknown(endpoint.canonicalRevision),
    [`${side}_cluster`]: orUnknown(endpoint.cluster),
  };
}

/** The service that answered; where none did, the one that was asked. */
function serviceLabels({ backend, context }: RequestRecord): Record<string, string> {
  const asked = context.downstream.service;
  const answered = backend === undefined || backend.hostname === "" ? asked : backend;
  const own = answered?.hostname === asked?.hostname;
  const firstLabel = answered?.hostname.split(".", 1)[0];
  return {
    destination_service: orUnknown(answered?.hostname),
    destination_service_namespace: orUnknown(answered?.namespace),
    destination_service_name: orUnknown(own ? asked?.serviceName : firstLabel),
  };
}

/** gRPC's codes are 0 to 16: what an upstream makes up beyond them is one more. */
function grpcStatus(status: number | undefined): string {
  if (status === undefined) return "";
  return Number.isInteger(status) && status >= 0 && status <= 16 ? `${status}` : UNKNOWN;
}

function orUnknown(text: string | undefined): string {
  return text === undefined || text === "" ? UNKNOWN : text;
}
