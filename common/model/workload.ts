/** A workload: one pod (or VM, or external endpoint) as every proxy of the mesh knows it. */
import type { GatewayAddress } from "./address.ts";
import { type Identity, makeIdentity } from "./identity.ts";
import type { IpAddress } from "./ip.ts";
import type { ServicePort } from "./service.ts";

export type TunnelProtocol = "none" | "hbone";
export type WorkloadType = "deployment" | "cronjob" | "pod" | "job";
export type WorkloadStatus = "healthy" | "unhealthy";
export type NetworkMode = "standard" | "host-network";

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

export interface Workload {
  /**
   * `<cluster>//Pod/<namespace>/<name>` for pods: unique, and the key of everything that belongs to
   * it.
   */
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly addresses: readonly IpAddress[];
  /** DNS name of a workload without addresses, else "". */
  readonly hostname: string;
  readonly network: string;
  readonly tunnelProtocol: TunnelProtocol;
  /** Never empty: the wire's "" has become the default trust domain. */
  readonly trustDomain: string;
  readonly serviceAccount: string;
  readonly waypoint?: GatewayAddress;
  readonly networkGateway?: GatewayAddress;
  readonly node: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly workloadType: WorkloadType;
  readonly workloadName: string;
  readonly nativeTunnel: boolean;
  /** Set where the workload wants inbound HBONE delivered with a PROXY v2 header on `port`. */
  readonly applicationTunnel?: { readonly protocol: "proxy"; readonly port: number };
  /** By `<namespace>/<hostname>` of the service: the ports under which this workload serves it. */
  readonly services: ReadonlyMap<string, readonly ServicePort[]>;
  /** `<namespace>/<name>` of the WORKLOAD_SELECTOR policies that apply to it. */
  readonly authorizationPolicies: readonly string[];
  readonly status: WorkloadStatus;
  readonly clusterId: string;
  readonly locality: Locality;
  readonly networkMode: NetworkMode;
  /** Load-balancing weight, 1 unless said otherwise. */
  readonly capacity: number;
  /**
   * Why nobody is connected to it or from it: it is to be reached in a way that this version does
   * not know, and any other would be wrong. Absent where all is understood.
   */
  readonly unusable?: string;
}

const identities = new WeakMap<Workload, Identity>();

/** The same object each time: it is asked for several times per connection. */
export function workloadIdentity(workload: Workload): Identity {
  let identity = identities.get(workload);
  if (identity === undefined) {
    const { trustDomain, namespace, serviceAccount } = workload;
    identity = makeIdentity(trustDomain, namespace, serviceAccount);
    identities.set(workload, identity);
  }
  return identity;
}
