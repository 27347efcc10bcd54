/** Names and addresses by which the mesh refers to workloads, services and gateways. */
import type { Cidr, IpAddress } from "./ip.ts";

/**
 * Istio's `NetworkAddress`: an address is only meaningful inside its network; "" is the default
 * network.
 */
export interface NetworkAddress {
  readonly network: string;
  readonly ip: IpAddress;
}

/** A service address: one VIP, or a whole block where `cidr` is set. */
export interface ServiceAddress extends NetworkAddress {
  readonly cidr?: Cidr;
}

export interface NamespacedHostname {
  readonly namespace: string;
  readonly hostname: string;
}

/** Where a waypoint or network gateway is found; `hboneMtlsPort` is 15008 unless said otherwise. */
export type GatewayAddress =
  | { readonly kind: "hostname"; readonly name: NamespacedHostname; readonly hboneMtlsPort: number }
  | { readonly kind: "address"; readonly address: NetworkAddress; readonly hboneMtlsPort: number };

/** `<namespace>/<hostname>`: the xDS name of a service, and the key of `Workload.services`. */
export function serviceKey(name: NamespacedHostname): string {
  return `${name.namespace}/${name.hostname}`;
}

/** `<network>/<ip>`: the xDS alias under which an address is looked up. */
export function networkAddressKey(address: NetworkAddress): string {
  return `${address.network}/${address.ip}`;
}
