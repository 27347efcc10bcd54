/**
 * Addresses, ports and gateways of a local file: `network/ip`, `namespace/hostname`, `80: 8080`.
 */
import type { GatewayAddress, NetworkAddress } from "#common/model/address.ts";
import { type Cidr, type IpAddress, parseCidr, parseIp } from "#common/model/ip.ts";
import type { ServicePort } from "#common/model/service.ts";
import type { FieldReader } from "./field-reader.ts";

export const PORT_MAX = 65_535;

export function readIp(field: FieldReader): IpAddress {
  return parseIp(field.text()) ?? field.fail("takes an IP address");
}

export function readCidr(field: FieldReader): Cidr {
  return parseCidr(field.text()) ?? field.fail("takes a block such as 10.0.0.0/8");
}

/** `network/ip`; the default network is the empty one: `/10.0.0.1`. */
export function readNetworkAddress(field: FieldReader): NetworkAddress {
  return (
    parseNetworkAddress(field.text()) ?? field.fail("takes network/address, such as /10.0.0.1")
  );
}

/** Ports by their number in a mapping, from the service's to the workload's. */
export function readPorts(field: FieldReader): readonly ServicePort[] {
  return field.entries().map(([key, target]) => {
    const servicePort = /^\d{1,5}$/.test(key) ? Number(key) : Number.NaN;
    if (!(servicePort <= PORT_MAX)) return target.fail("is no port number");
    return { servicePort, targetPort: target.integer(PORT_MAX), appProtocol: "unknown" };
  });
}

/** The destination is an address where it reads as one, else `namespace/hostname`. */
export function readGateway(field: FieldReader): GatewayAddress {
  const { destination, hboneMtlsPort } = field.fields(["destination", "hboneMtlsPort"]);
  const port = hboneMtlsPort.integer(PORT_MAX);
  const text = destination.text();
  const address = parseNetworkAddress(text);
  if (address !== undefined) return { kind: "address", address, hboneMtlsPort: port };
  const [namespace = "", hostname = "", ...rest] = text.split("/");
  if (namespace === "" || hostname === "" || rest.length > 0) {
    return destination.fail("takes network/address or namespace/hostname");
  }
  return { kind: "hostname", name: { namespace, hostname }, hboneMtlsPort: port };
}

function parseNetworkAddress(text: string): NetworkAddress | undefined {
  const slash = text.indexOf("/");
  const ip = slash < 0 ? undefined : parseIp(text.slice(slash + 1));
  return ip && { network: text.slice(0, slash), ip };
}
