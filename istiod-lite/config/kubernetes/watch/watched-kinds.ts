/** What is asked of the API server: the kinds that the registry reads, and no others. */
import { resourceOf } from "#common/kube-client/resources.ts";
import type { KubernetesKind } from "#common/kubernetes/objects.ts";
import { apiVersionsOf } from "#common/kubernetes/validate/validate-object.ts";

/** Kinds of a folder that only its cluster of namespaces reads: istiod-lite needs no right to. */
export type UnreadKind = "Deployment" | "ServiceAccount";
export type WatchedKind = Exclude<KubernetesKind, UnreadKind>;

export interface KindSource {
  readonly kind: WatchedKind;
  /** In the order in which they are preferred. */
  readonly apiVersions: readonly string[];
  /** The name of the CustomResourceDefinition that it needs; absent: every cluster has the kind. */
  readonly crd?: string;
  readonly labelSelector?: string;
}

const BUILT_IN: readonly WatchedKind[] = [
  "Node",
  "Namespace",
  "ConfigMap",
  "Pod",
  "Service",
  "EndpointSlice",
];

const CUSTOM: readonly WatchedKind[] = [
  "ServiceEntry",
  "WorkloadEntry",
  "AuthorizationPolicy",
  "PeerAuthentication",
  "RequestAuthentication",
  "VirtualService",
  "DestinationRule",
  "RateLimitPolicy",
  "Telemetry",
  "HTTPRoute",
  "GRPCRoute",
  "TCPRoute",
  "TLSRoute",
  "ReferenceGrant",
  "BackendTLSPolicy",
  "Gateway",
  "GatewayClass",
];

/**
 * The registry derives the endpoints of Services with a selector from their pods itself: the slices
 * that Kubernetes makes of the same pods would double every change of a pod. Source: the label
 * endpointslice.kubernetes.io/managed-by of the EndpointSlice controller.
 */
const SLICES_OF_OTHERS = "endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io";

export const WATCHED_KINDS: readonly KindSource[] = [
  ...BUILT_IN.map((kind) => ({
    kind,
    apiVersions: apiVersionsOf(kind),
    ...(kind === "EndpointSlice" && { labelSelector: SLICES_OF_OTHERS }),
  })),
  ...CUSTOM.map((kind) => {
    const apiVersions = apiVersionsOf(kind);
    const [group] = (apiVersions[0] ?? "").split("/");
    return { kind, apiVersions, crd: `${resourceOf(kind).plural}.${group}` };
  }),
];
