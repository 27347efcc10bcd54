/** The one entrance to validation: JSON in, a typed object and the issues out. */

import type { KubernetesKind, KubernetesObject } from "#common/kubernetes/objects.ts";
import type { Issue } from "#common/kubernetes/problem.ts";
import { suggest } from "#common/kubernetes/suggest.ts";
import { authorizationPolicy } from "#common/kubernetes/validate/authorization-policy.ts";
import { checkSchema, show } from "#common/kubernetes/validate/check.ts";
import {
  configMap,
  namespace,
  node,
  serviceAccount,
} from "#common/kubernetes/validate/core-kinds.ts";
import { gateway, gatewayClass } from "#common/kubernetes/validate/gateway.ts";
import { destinationRule } from "#common/kubernetes/validate/istio-routes/destination-rule.ts";
import { virtualService } from "#common/kubernetes/validate/istio-routes/virtual-service.ts";
import { rateLimitPolicy } from "#common/kubernetes/validate/l7/rate-limit-policy.ts";
import { requestAuthentication } from "#common/kubernetes/validate/l7/request-authentication.ts";
import { telemetry } from "#common/kubernetes/validate/l7/telemetry.ts";
import type { KindDefinition } from "#common/kubernetes/validate/metadata.ts";
import { peerAuthentication } from "#common/kubernetes/validate/peer-authentication.ts";
import { deployment, pod } from "#common/kubernetes/validate/pod.ts";
import { backendTlsPolicy } from "#common/kubernetes/validate/routes/backend-tls-policy.ts";
import { grpcRoute } from "#common/kubernetes/validate/routes/grpc-route.ts";
import { httpRoute } from "#common/kubernetes/validate/routes/http-route.ts";
import { tcpRoute, tlsRoute } from "#common/kubernetes/validate/routes/l4-routes.ts";
import { referenceGrant } from "#common/kubernetes/validate/routes/reference-grant.ts";
import { endpointSlice, service } from "#common/kubernetes/validate/service.ts";
import { serviceEntry } from "#common/kubernetes/validate/service-entry.ts";
import { workloadEntry } from "#common/kubernetes/validate/workload-entry.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";

const KINDS: Readonly<Record<KubernetesKind, KindDefinition>> = {
  Node: node,
  Namespace: namespace,
  ServiceAccount: serviceAccount,
  ConfigMap: configMap,
  Pod: pod,
  Deployment: deployment,
  Service: service,
  EndpointSlice: endpointSlice,
  ServiceEntry: serviceEntry,
  WorkloadEntry: workloadEntry,
  AuthorizationPolicy: authorizationPolicy,
  PeerAuthentication: peerAuthentication,
  RequestAuthentication: requestAuthentication,
  VirtualService: virtualService,
  DestinationRule: destinationRule,
  RateLimitPolicy: rateLimitPolicy,
  Telemetry: telemetry,
  HTTPRoute: httpRoute,
  GRPCRoute: grpcRoute,
  TCPRoute: tcpRoute,
  TLSRoute: tlsRoute,
  ReferenceGrant: referenceGrant,
  BackendTLSPolicy: backendTlsPolicy,
  Gateway: gateway,
  GatewayClass: gatewayClass,
};

export interface Validation {
  /** The object with defaults filled in and nulls removed; absent when there is any error. */
  readonly object?: KubernetesObject;
  readonly issues: readonly Issue[];
  /** Set when the mesh does not read this kind: what to say once about all objects of it. */
  readonly unknownKind?: { readonly name: string; readonly hint?: string };
}

/** Validates any JSON value as a Kubernetes object. Does not change its argument. */
export function validateObject(value: unknown): Validation {
  if (!isJsonObject(value)) {
    return refuse([], `must be a Kubernetes object, not ${show(value)}`, "write a map");
  }
  const { apiVersion, kind } = value;
  for (const [field, given] of Object.entries({ apiVersion, kind })) {
    if (typeof given === "string" && given !== "") continue;
    const hint = "every object begins with apiVersion and kind";
    return refuse([field], given === undefined ? "is required but missing" : "must be text", hint);
  }
  const definition = findKind(String(kind), String(apiVersion));
  if (definition === undefined) {
    return { issues: [], unknownKind: describeUnknown(String(kind), String(apiVersion)) };
  }
  const versions = definition.versions.map((version) => apiVersionOf(definition, version));
  if (!versions.includes(String(apiVersion))) {
    const hint = `write apiVersion: ${versions[0]}`;
    return refuse(["apiVersion"], `${show(apiVersion)} is not the version of ${kind}`, hint);
  }
  const { value: checked, issues } = checkSchema(definition.schema, value);
  if (issues.some((issue) => issue.severity === "error")) return { issues };
  // The schema of the kind has just established what the type says.
  return { object: checked as KubernetesObject, issues };
}

/** In which a kind may be written, the preferred one first. */
export function apiVersionsOf(kind: KubernetesKind): readonly string[] {
  const definition = KINDS[kind];
  return definition.versions.map((version) => apiVersionOf(definition, version));
}

/**
 * A known kind in a group of Kubernetes or Istio itself is that kind, with its version mistaken.
 */
function findKind(kind: string, apiVersion: string): KindDefinition | undefined {
  if (!Object.hasOwn(KINDS, kind)) return undefined;
  const definition = KINDS[kind as KubernetesKind];
  const group = groupOf(apiVersion);
  if (definition.otherGroups.includes(group)) return undefined;
  const ours = Object.values(KINDS).some((known) => known.group === group);
  return ours ? definition : undefined;
}

function describeUnknown(kind: string, apiVersion: string): { name: string; hint?: string } {
  const group = groupOf(apiVersion);
  const name = group === "" ? `kind ${kind}` : `kind ${kind} of ${group}`;
  const near = suggest(kind, Object.keys(KINDS));
  return near === undefined ? { name } : { name, hint: `did you mean ${near}?` };
}

function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? "" : apiVersion.slice(0, slash);
}

function apiVersionOf(definition: KindDefinition, version: string): string {
  return definition.group === "" ? version : `${definition.group}/${version}`;
}

function refuse(path: readonly string[], message: string, hint: string): Validation {
  return { issues: [{ severity: "error", path, message, hint }] };
}
