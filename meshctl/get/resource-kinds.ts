/** The names by which people call kinds of objects, as kubectl knows them. */
import type { KubernetesKind } from "#common/kubernetes/objects.ts";
import { MeshError } from "#common/runtime/errors.ts";

interface ResourceKind {
  readonly kind: KubernetesKind;
  readonly names: readonly string[];
  readonly namespaced: boolean;
}

const RESOURCE_KINDS: readonly ResourceKind[] = [
  { kind: "Pod", names: ["pods", "pod", "po"], namespaced: true },
  { kind: "Service", names: ["services", "service", "svc"], namespaced: true },
  { kind: "Node", names: ["nodes", "node", "no"], namespaced: false },
  { kind: "Namespace", names: ["namespaces", "namespace", "ns"], namespaced: false },
  { kind: "Deployment", names: ["deployments", "deployment", "deploy"], namespaced: true },
  { kind: "ServiceAccount", names: ["serviceaccounts", "serviceaccount", "sa"], namespaced: true },
  { kind: "ConfigMap", names: ["configmaps", "configmap", "cm"], namespaced: true },
  { kind: "EndpointSlice", names: ["endpointslices", "endpointslice"], namespaced: true },
  { kind: "ServiceEntry", names: ["serviceentries", "serviceentry", "se"], namespaced: true },
  { kind: "WorkloadEntry", names: ["workloadentries", "workloadentry", "we"], namespaced: true },
  {
    kind: "AuthorizationPolicy",
    names: ["authorizationpolicies", "authorizationpolicy", "ap"],
    namespaced: true,
  },
  {
    kind: "PeerAuthentication",
    names: ["peerauthentications", "peerauthentication", "pa"],
    namespaced: true,
  },
  {
    kind: "RequestAuthentication",
    names: ["requestauthentications", "requestauthentication", "ra"],
    namespaced: true,
  },
  { kind: "RateLimitPolicy", names: ["ratelimitpolicies", "ratelimitpolicy"], namespaced: true },
  { kind: "Telemetry", names: ["telemetries", "telemetry"], namespaced: true },
  {
    kind: "VirtualService",
    names: ["virtualservices", "virtualservice", "vs"],
    namespaced: true,
  },
  {
    kind: "DestinationRule",
    names: ["destinationrules", "destinationrule", "dr"],
    namespaced: true,
  },
  { kind: "HTTPRoute", names: ["httproutes", "httproute"], namespaced: true },
  { kind: "GRPCRoute", names: ["grpcroutes", "grpcroute"], namespaced: true },
  { kind: "TCPRoute", names: ["tcproutes", "tcproute"], namespaced: true },
  { kind: "TLSRoute", names: ["tlsroutes", "tlsroute"], namespaced: true },
  {
    kind: "ReferenceGrant",
    names: ["referencegrants", "referencegrant", "refgrant"],
    namespaced: true,
  },
  {
    kind: "BackendTLSPolicy",
    names: ["backendtlspolicies", "backendtlspolicy", "btlspolicy"],
    namespaced: true,
  },
  { kind: "Gateway", names: ["gateways", "gateway", "gtw"], namespaced: true },
  { kind: "GatewayClass", names: ["gatewayclasses", "gatewayclass", "gc"], namespaced: false },
];

/** Throws a MeshError with the names there are. */
export function resolveKind(name: string): ResourceKind {
  const wanted = name.toLowerCase();
  const found = RESOURCE_KINDS.find(({ names }) => names.includes(wanted));
  if (found !== undefined) return found;
  const known = [...RESOURCE_KINDS.map(({ names }) => names[0]), "events"].join(", ");
  throw new MeshError("NO_SUCH_KIND", `the cluster has no ${name}`, {
    hint: `meshctl get KIND, where KIND is one of ${known}`,
  });
}
