/**
 * WorkloadEntry, and the endpoints of a ServiceEntry, which have the same fields. Sources:
 * istio/api networking/v1alpha3/workload_entry.proto and Istio's admission.
 */
import type { WorkloadEntrySpec } from "#common/kubernetes/objects.ts";
import { all, dnsSubdomain, notEmpty } from "#common/kubernetes/validate/formats.ts";
import { conditions, defineKind, labels } from "#common/kubernetes/validate/metadata.ts";
import {
  integer,
  map,
  object,
  port,
  type Refusal,
  type Report,
  type Schema,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";
import { ipToBytes, parseIp } from "#common/model/ip.ts";

export const NETWORKING_GROUP = "networking.istio.io";
export const NETWORKING_VERSIONS = ["v1", "v1beta1", "v1alpha3"];

/** The fields of an endpoint, wherever it is written; `check` looks at them together. */
export function endpointSchema(
  check: (endpoint: WorkloadEntrySpec, report: Report) => void,
): Schema {
  return strictObject<WorkloadEntrySpec>(
    {
      address: text(endpointAddress),
      ports: map(port, notEmpty),
      labels,
      network: text(),
      locality: text(locality),
      weight: integer(0),
      serviceAccount: text(all(notEmpty, dnsSubdomain)),
    },
    { check },
  );
}

export const workloadEntry = defineKind({
  kind: "WorkloadEntry",
  group: NETWORKING_GROUP,
  versions: NETWORKING_VERSIONS,
  name: dnsSubdomain,
  required: ["spec"],
  strict: true,
  fields: { spec: endpointSchema(requireAddress), status: object({ conditions }) },
});

/** Only a network gateway reaches a workload without an address. */
export function requireAddress(endpoint: WorkloadEntrySpec, report: Report): void {
  if (endpoint.address !== undefined || (endpoint.network ?? "") !== "") return;
  const hint = "give the workload's IP address or DNS name";
  report("error", ["address"], "is required but missing", hint);
}

function endpointAddress(address: string): Refusal | undefined {
  if (address.startsWith("unix:")) {
    const message = "is a Unix socket, which is reached through a sidecar only";
    return { message, hint: "give an IP address or a DNS name" };
  }
  const ip = parseIp(address);
  if (ip === undefined) {
    if (dnsSubdomain(address) === undefined && !/^[0-9.]+$/.test(address)) return undefined;
    const message = `${JSON.stringify(address)} is neither an IP address nor a DNS name`;
    return { message, hint: "like 10.0.0.1, 2001:db8::1 or db.example.com" };
  }
  const [first = 0] = ipToBytes(ip);
  const multicast = ip.includes(":") ? first === 0xff : first >= 224 && first < 240;
  if (!multicast && ip !== "0.0.0.0" && ip !== "::") return undefined;
  return { message: `${ip} is ${multicast ? "a multicast" : "the unspecified"} address` };
}

function locality(value: string): Refusal | undefined {
  const parts = value.split("/");
  if (parts.length <= 3 && parts.every((part) => part !== "")) return undefined;
  const message = `${JSON.stringify(value)} is no locality`;
  return { message, hint: "region, region/zone or region/zone/subzone" };
}
