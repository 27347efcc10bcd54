/**
 * The Kubernetes objects that the mesh reads, in the API's own JSON shape: what a folder of YAML
 * and an API server both deliver. Only fields that something reads are typed; validators check
 * exactly these.
 */
import type { ServiceEntry, WorkloadEntry } from "#common/kubernetes/entry-objects.ts";
import type { Gateway, GatewayClass } from "#common/kubernetes/gateway-objects.ts";
import type { IstioRouteObject } from "#common/kubernetes/istio-route-objects.ts";
import type { L7PolicyObject } from "#common/kubernetes/l7-policy-objects.ts";
import type { ObjectMeta } from "#common/kubernetes/object-meta.ts";
import type { AuthorizationPolicy, PeerAuthentication } from "#common/kubernetes/policy-objects.ts";
import type {
  BackendTLSPolicy,
  GatewayRoute,
  ReferenceGrant,
} from "#common/kubernetes/route-objects.ts";
import type { Volume } from "#common/kubernetes/volume-objects.ts";

export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason?: string;
  readonly message?: string;
  readonly observedGeneration?: number;
  readonly lastTransitionTime?: string;
}

/** What every object begins with. */
export interface Base<ApiVersion extends string, Kind extends string> {
  readonly apiVersion: ApiVersion;
  readonly kind: Kind;
  readonly metadata: ObjectMeta;
}

export interface Node extends Base<"v1", "Node"> {
  readonly spec?: {
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly taints?: readonly { readonly key: string; readonly effect?: string }[];
  };
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
  };
}

export interface Namespace extends Base<"v1", "Namespace"> {}
export interface ServiceAccount extends Base<"v1", "ServiceAccount"> {}
export interface ConfigMap extends Base<"v1", "ConfigMap"> {
  readonly data?: Readonly<Record<string, string>>;
}

export interface ContainerPort {
  readonly name?: string;
  readonly containerPort: number;
  readonly protocol?: "TCP" | "UDP" | "SCTP";
}

export interface Probe {
  readonly httpGet?: {
    readonly path?: string;
    readonly port: number | string;
    readonly scheme?: "HTTP" | "HTTPS";
    readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[];
  };
  readonly tcpSocket?: { readonly port: number | string };
  readonly exec?: { readonly command: readonly string[] };
  readonly initialDelaySeconds?: number;
  readonly periodSeconds?: number;
  readonly timeoutSeconds?: number;
  readonly successThreshold?: number;
  readonly failureThreshold?: number;
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly workingDir?: string;
  readonly env?: readonly EnvVar[];
  readonly ports?: readonly ContainerPort[];
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly startupProbe?: Probe;
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
  /** Not looked into here. */
  readonly resources?: object;
  readonly securityContext?: object;
}

export interface PodSpec {
  readonly nodeName?: string;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly serviceAccountName?: string;
  readonly hostNetwork?: boolean;
  /** With `subdomain`, the pod's own name below a headless service of that name. */
  readonly hostname?: string;
  readonly subdomain?: string;
  readonly restartPolicy?: "Always" | "OnFailure" | "Never";
  readonly terminationGracePeriodSeconds?: number;
  readonly containers: readonly Container[];
  readonly volumes?: readonly Volume[];
  /** Not looked into here. */
  readonly securityContext?: object;
  readonly topologySpreadConstraints?: readonly object[];
}

export interface Pod extends Base<"v1", "Pod"> {
  readonly spec: PodSpec;
  readonly status?: {
    readonly phase?: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
    readonly hostIP?: string;
    readonly conditions?: readonly Condition[];
    readonly startTime?: string;
    readonly reason?: string;
    readonly message?: string;
  };
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
}

export interface Deployment extends Base<"apps/v1", "Deployment"> {
  readonly spec: {
    /** 1 unless said otherwise. */
    readonly replicas?: number;
    readonly selector: LabelSelector;
    readonly template: {
      readonly metadata?: {
        readonly labels?: Readonly<Record<string, string>>;
        readonly annotations?: Readonly<Record<string, string>>;
      };
      readonly spec: PodSpec;
    };
  };
}

export interface KubeServicePort {
  readonly name?: string;
  readonly port: number;
  /** A number, or the name of a container port; the service port unless said otherwise. */
  readonly targetPort?: number | string;
  readonly protocol?: "TCP" | "UDP" | "SCTP";
  readonly appProtocol?: string;
}

export interface KubeService extends Base<"v1", "Service"> {
  readonly spec: {
    readonly type?: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
    /** "None" makes it headless. */
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly ipFamilies?: readonly ("IPv4" | "IPv6")[];
    readonly ipFamilyPolicy?: "SingleStack" | "PreferDualStack" | "RequireDualStack";
    readonly selector?: Readonly<Record<string, string>>;
    readonly ports?: readonly KubeServicePort[];
    readonly externalName?: string;
    readonly publishNotReadyAddresses?: boolean;
    readonly internalTrafficPolicy?: "Cluster" | "Local";
    readonly trafficDistribution?: string;
    readonly sessionAffinity?: string;
  };
}

export interface EndpointSlice extends Base<"discovery.k8s.io/v1", "EndpointSlice"> {
  readonly addressType: "IPv4" | "IPv6" | "FQDN";
  readonly endpoints: readonly {
    readonly addresses: readonly string[];
    readonly conditions?: {
      readonly ready?: boolean;
      readonly serving?: boolean;
      readonly terminating?: boolean;
    };
    readonly nodeName?: string;
    readonly hostname?: string;
    readonly targetRef?: {
      readonly kind: string;
      readonly namespace?: string;
      readonly name: string;
      readonly uid?: string;
    };
  }[];
  readonly ports?: readonly {
    readonly name?: string;
    readonly port?: number;
    readonly protocol?: string;
    readonly appProtocol?: string;
  }[];
}

export type {
  ServiceEntry,
  ServiceEntryAddress,
  ServiceEntryPort,
  WorkloadEntry,
  WorkloadEntrySpec,
} from "#common/kubernetes/entry-objects.ts";
export type { Gateway, GatewayClass } from "#common/kubernetes/gateway-objects.ts";
export type {
  DestinationRule,
  IstioRouteObject,
  VirtualService,
} from "#common/kubernetes/istio-route-objects.ts";
export type {
  L7PolicyObject,
  RateLimitPolicy,
  RequestAuthentication,
  Telemetry,
} from "#common/kubernetes/l7-policy-objects.ts";
export type { ObjectMeta, OwnerReference } from "#common/kubernetes/object-meta.ts";
export type {
  AuthorizationPolicy,
  MtlsMode,
  PeerAuthentication,
  PolicyCondition,
  PolicyOperation,
  PolicyRule,
  PolicySource,
  PolicyTargetRef,
} from "#common/kubernetes/policy-objects.ts";
export type {
  AncestorStatus,
  BackendTLSPolicy,
  GatewayRoute,
  GRPCRoute,
  HTTPRoute,
  ParentReference,
  ParentStatus,
  ReferenceGrant,
  TCPRoute,
  TLSRoute,
} from "#common/kubernetes/route-objects.ts";

export type KubernetesObject =
  | Node
  | Namespace
  | ServiceAccount
  | ConfigMap
  | Pod
  | Deployment
  | KubeService
  | EndpointSlice
  | ServiceEntry
  | WorkloadEntry
  | AuthorizationPolicy
  | PeerAuthentication
  | L7PolicyObject
  | IstioRouteObject
  | GatewayRoute
  | ReferenceGrant
  | BackendTLSPolicy
  | Gateway
  | GatewayClass;

export type KubernetesKind = KubernetesObject["kind"];

/**
 * `<kind>/<namespace>/<name>`, the namespace empty for cluster-scoped kinds: unique in one cluster.
 */
export function objectKey(object: {
  readonly kind: string;
  readonly metadata: { readonly namespace?: string; readonly name: string };
}): string {
  return `${object.kind}/${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

/** One change of one object; `object` is absent when it was deleted. */
export interface ObjectChange {
  readonly key: string;
  readonly kind: KubernetesKind;
  readonly object?: KubernetesObject;
}
