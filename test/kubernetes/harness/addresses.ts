/**
 * Addresses inside a cluster. Every cluster has the same ones, each in its own namespaces; only the
 * link between a cluster and the machine that tests run on needs addresses that are free there.
 */

export const CONTROL_PLANE_ADDRESS = "10.99.0.1";
export const CONTROL_PLANE_ADDRESS_V6 = "fd00:10:99::1";
export const API_SERVER_PORT = 6443;
/** Both families, IPv4 first: what a service has unless it asks for more. */
export const SERVICE_CIDRS = "10.96.0.0/16,fd00:10:96::/112";
export const POD_CIDRS = "10.244.0.0/16,fd00:10:244::/56";
export const DNS_ADDRESS = "10.96.0.10";
/** The first address of the service range: the service `kubernetes`. */
export const API_SERVICE_ADDRESS = "10.96.0.1";

/** `index` is 1 or 2. */
export function nodeAddress(index: number): string {
  return `10.99.0.${10 + index}`;
}

export function nodeAddressV6(index: number): string {
  return `fd00:10:99::1${index}`;
}

export function nodePodCidr(index: number): string {
  return `10.244.${index}.0/24`;
}

export function nodePodCidrV6(index: number): string {
  return `fd00:10:244:${index}::/64`;
}

/** The two ends of link `index` (0-63) in 100.127.0.0/24, of RFC 6598's shared address space. */
export function linkAddresses(index: number): { readonly host: string; readonly cluster: string } {
  return { host: `100.127.0.${index * 4 + 1}`, cluster: `100.127.0.${index * 4 + 2}` };
}

export const LINK_COUNT = 64;
