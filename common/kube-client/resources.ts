/**
 * Where the API server keeps each kind: group and version, the plural in paths, and whether
 * objects stand in a namespace.
 */
import { MeshError } from "#common/runtime/errors.ts";

export interface Resource {
  readonly apiVersion: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

const istio = (group: string, version: string, plural: string): Resource => ({
  apiVersion: `${group}.istio.io/${version}`,
  plural,
  namespaced: true,
});
const of = (apiVersion: string, plural: string): Resource => ({
  apiVersion,
  plural,
  namespaced: true,
});
const cluster = (apiVersion: string, plural: string): Resource => ({
  apiVersion,
  plural,
  namespaced: false,
});

/** Every kind that one of the programs reads or writes. */
export const resources = {
  Node: cluster("v1", "nodes"),
  Namespace: cluster("v1", "namespaces"),
  ServiceAccount: of("v1", "serviceaccounts"),
  ConfigMap: of("v1", "configmaps"),
  ResourceQuota: of("v1", "resourcequotas"),
  Secret: of("v1", "secrets"),
  Event: of("v1", "events"),
  Pod: of("v1", "pods"),
  Service: of("v1", "services"),
  Deployment: of("apps/v1", "deployments"),
  ReplicaSet: of("apps/v1", "replicasets"),
  DaemonSet: of("apps/v1", "daemonsets"),
  EndpointSlice: of("discovery.k8s.io/v1", "endpointslices"),
  Lease: of("coordination.k8s.io/v1", "leases"),
  PodDisruptionBudget: of("policy/v1", "poddisruptionbudgets"),
  HorizontalPodAutoscaler: of("autoscaling/v2", "horizontalpodautoscalers"),
  NetworkPolicy: of("networking.k8s.io/v1", "networkpolicies"),
  Role: of("rbac.authorization.k8s.io/v1", "roles"),
  RoleBinding: of("rbac.authorization.k8s.io/v1", "rolebindings"),
  ClusterRole: cluster("rbac.authorization.k8s.io/v1", "clusterroles"),
  ClusterRoleBinding: cluster("rbac.authorization.k8s.io/v1", "clusterrolebindings"),
  PriorityClass: cluster("scheduling.k8s.io/v1", "priorityclasses"),
  CustomResourceDefinition: cluster("apiextensions.k8s.io/v1", "customresourcedefinitions"),
  ValidatingWebhookConfiguration: cluster(
    "admissionregistration.k8s.io/v1",
    "validatingwebhookconfigurations",
  ),
  MutatingWebhookConfiguration: cluster(
    "admissionregistration.k8s.io/v1",
    "mutatingwebhookconfigurations",
  ),
  ServiceEntry: istio("networking", "v1", "serviceentries"),
  WorkloadEntry: istio("networking", "v1", "workloadentries"),
  VirtualService: istio("networking", "v1", "virtualservices"),
  DestinationRule: istio("networking", "v1", "destinationrules"),
  AuthorizationPolicy: istio("security", "v1", "authorizationpolicies"),
  PeerAuthentication: istio("security", "v1", "peerauthentications"),
  RequestAuthentication: istio("security", "v1", "requestauthentications"),
  Telemetry: istio("telemetry", "v1", "telemetries"),
  RateLimitPolicy: of("ambientmesh.dev/v1alpha1", "ratelimitpolicies"),
  Gateway: of("gateway.networking.k8s.io/v1", "gateways"),
  GatewayClass: cluster("gateway.networking.k8s.io/v1", "gatewayclasses"),
  HTTPRoute: of("gateway.networking.k8s.io/v1", "httproutes"),
  GRPCRoute: of("gateway.networking.k8s.io/v1", "grpcroutes"),
  TLSRoute: of("gateway.networking.k8s.io/v1alpha2", "tlsroutes"),
  TCPRoute: of("gateway.networking.k8s.io/v1alpha2", "tcproutes"),
  ReferenceGrant: of("gateway.networking.k8s.io/v1beta1", "referencegrants"),
  BackendTLSPolicy: of("gateway.networking.k8s.io/v1", "backendtlspolicies"),
} as const satisfies Record<string, Resource>;

export type KnownKind = keyof typeof resources;

/** What names one object; `namespace` is empty or absent for cluster-scoped kinds. */
export interface KubeReference {
  readonly kind: string;
  readonly namespace?: string | undefined;
  readonly name: string;
  /** Where the kind is served in another version than the one of the table. */
  readonly apiVersion?: string | undefined;
}

/** Throws MeshError KUBE_KIND for a kind that is not in the table. */
export function resourceOf(kind: string): Resource {
  if (Object.hasOwn(resources, kind)) return resources[kind as KnownKind];
  throw new MeshError("KUBE_KIND", `no path is known for objects of kind ${kind}`, {
    hint: "add it to common/kube-client/resources.ts",
  });
}

/** The path of all objects of a kind, in one namespace or in all of them. */
export function collectionPath(
  kind: string,
  namespace?: string,
  apiVersion: string = resourceOf(kind).apiVersion,
): string {
  const { plural, namespaced } = resourceOf(kind);
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const within = namespaced && namespace !== undefined && namespace !== "";
  return within
    ? `${group}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    : `${group}/${plural}`;
}

/** The path of one object. Throws MeshError KUBE_REFERENCE where a namespace is missing. */
export function objectPath({ kind, namespace, name, apiVersion }: KubeReference): string {
  const isNamed = name !== "" && name !== "." && name !== "..";
  const isPlaced = !resourceOf(kind).namespaced || (namespace !== undefined && namespace !== "");
  if (!isNamed || !isPlaced) {
    const lacks = isNamed ? "namespace" : "name";
    throw new MeshError("KUBE_REFERENCE", `${kind} ${JSON.stringify(name)} lacks a ${lacks}`, {
      hint: `give its metadata a ${lacks}`,
    });
  }
  return `${collectionPath(kind, namespace, apiVersion)}/${encodeURIComponent(name)}`;
}
