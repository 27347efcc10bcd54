/** Istio's ServiceEntry and WorkloadEntry in the API's own shape; `objects.ts` exports them too. */
import type { Base, Condition } from "#common/kubernetes/objects.ts";

/** The versions in which both kinds are served, all of one shape. */
export type NetworkingVersion =
  | "networking.istio.io/v1"
  | "networking.istio.io/v1beta1"
  | "networking.istio.io/v1alpha3";

export interface ServiceEntryPort {
  readonly number: number;
  readonly name: string;
  /** HTTP, HTTPS, HTTP2, GRPC, MONGO, TCP, TLS or UDP. */
  readonly protocol?: string;
  /** The endpoints' port; the same number unless said otherwise. */
  readonly targetPort?: number;
}

/** A WorkloadEntry's spec, and an endpoint that a ServiceEntry lists. */
export interface WorkloadEntrySpec {
  /** An IP address or a DNS name; absent for a workload that only a network gateway can reach. */
  readonly address?: string;
  /** By the name of the service's port. */
  readonly ports?: Readonly<Record<string, number>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** "" or absent is the mesh's own network. */
  readonly network?: string;
  /** `region/zone/subzone`, the end may be left out. */
  readonly locality?: string;
  /** Share of the connections; 1 unless said otherwise. */
  readonly weight?: number;
  readonly serviceAccount?: string;
}

export type ServiceEntryResolution = "NONE" | "STATIC" | "DNS" | "DNS_ROUND_ROBIN" | "DYNAMIC_DNS";

/** An address that was given to a host of a ServiceEntry without any of its own. */
export interface ServiceEntryAddress {
  readonly value: string;
  readonly host?: string;
}

export interface ServiceEntry extends Base<NetworkingVersion, "ServiceEntry"> {
  readonly spec: {
    readonly hosts: readonly string[];
    /** IP addresses and CIDR blocks. */
    readonly addresses?: readonly string[];
    readonly ports?: readonly ServiceEntryPort[];
    readonly location?: "MESH_EXTERNAL" | "MESH_INTERNAL";
    /** NONE unless said otherwise. */
    readonly resolution?: ServiceEntryResolution;
    readonly endpoints?: readonly WorkloadEntrySpec[];
    readonly workloadSelector?: { readonly labels?: Readonly<Record<string, string>> };
    /** ".", "*", "~" or names of namespaces; all of them unless said otherwise. */
    readonly exportTo?: readonly string[];
    readonly subjectAltNames?: readonly string[];
  };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly addresses?: readonly ServiceEntryAddress[];
  };
}

export interface WorkloadEntry extends Base<NetworkingVersion, "WorkloadEntry"> {
  readonly spec: WorkloadEntrySpec;
  readonly status?: { readonly conditions?: readonly Condition[] };
}
