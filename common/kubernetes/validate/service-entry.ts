/**
 * ServiceEntry. Sources: istio/api networking/v1alpha3/service_entry.proto and Istio's admission
 * (pkg/config/validation).
 */
import type { ServiceEntry, ServiceEntryPort } from "#common/kubernetes/objects.ts";
import { dnsLabel, dnsSubdomain, ipOrCidr, notEmpty } from "#common/kubernetes/validate/formats.ts";
import { conditions, defineKind, labels } from "#common/kubernetes/validate/metadata.ts";
import {
  list,
  object,
  oneOf,
  port,
  type Refusal,
  type Report,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";
import {
  endpointSchema,
  NETWORKING_GROUP,
  NETWORKING_VERSIONS,
  requireAddress,
} from "#common/kubernetes/validate/workload-entry.ts";
import { parseIp } from "#common/model/ip.ts";

type Spec = ServiceEntry["spec"];

// Source: Istio's "Protocol Selection" page; Istio reads them without regard to case.
const PROTOCOLS = [
  ...["TCP", "TLS", "HTTP", "HTTP2", "HTTPS", "GRPC", "GRPC-WEB"],
  ...["MONGO", "MYSQL", "REDIS", "UDP"],
];

const servicePort = strictObject<ServiceEntryPort>(
  { number: port, name: text(notEmpty), protocol: text(protocol), targetPort: port },
  { required: ["number", "name"] },
);

/** Bounds of the lists. Source: the CRD of istio/api. */
const MAX_HOSTS = 256;
const MAX_ENDPOINTS = 4_096;

export const serviceEntry = defineKind({
  kind: "ServiceEntry",
  group: NETWORKING_GROUP,
  versions: NETWORKING_VERSIONS,
  name: dnsSubdomain,
  required: ["spec"],
  strict: true,
  fields: {
    spec: strictObject<Spec>(
      {
        hosts: list<string>(text(host), {
          min: 1,
          max: MAX_HOSTS,
          unique: (name) => `host ${name}`,
        }),
        addresses: list<string>(text(ipOrCidr), {
          max: MAX_HOSTS,
          unique: (address) => `address ${address}`,
        }),
        ports: list<ServiceEntryPort>(servicePort, {
          max: MAX_HOSTS,
          unique: ({ number }) => `number ${number}`,
        }),
        location: oneOf("MESH_EXTERNAL", "MESH_INTERNAL"),
        resolution: oneOf("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"),
        endpoints: list(endpointSchema(requireAddress), { max: MAX_ENDPOINTS }),
        workloadSelector: strictObject({ labels }),
        exportTo: list<string>(text(exportTarget), { unique: (target) => `entry ${target}` }),
        subjectAltNames: list(text(notEmpty), { max: MAX_HOSTS }),
      },
      { required: ["hosts"], check: checkSpec },
    ),
    status: object({
      conditions,
      addresses: list(object({ value: text(), host: text() }, { required: ["value"] })),
    }),
  },
});

function host(name: string): Refusal | undefined {
  const plain = name.startsWith("*.") ? name.slice(2) : name;
  if (name !== "*" && dnsSubdomain(plain) === undefined && parseIp(plain) === undefined) return;
  const message = `${JSON.stringify(name)} is no host`;
  return { message, hint: "like api.example.com or *.example.com, in lower case" };
}

function protocol(name: string): Refusal | undefined {
  if (PROTOCOLS.includes(name.toUpperCase())) return undefined;
  const message = `${JSON.stringify(name)} is no protocol`;
  return { message, hint: `one of ${PROTOCOLS.join(", ")}` };
}

/** "*", ".", "~" or the name of a namespace. */
export function exportTarget(target: string): Refusal | undefined {
  if (["*", ".", "~"].includes(target) || dnsLabel(target) === undefined) return undefined;
  const message = `${JSON.stringify(target)} is neither *, . or ~ nor a namespace`;
  return { message, hint: 'write "." for the own namespace, "*" for all' };
}

function checkSpec(spec: Spec, report: Report): void {
  const names = new Map<string, number>();
  (spec.ports ?? []).forEach(({ name }, index) => {
    const first = names.get(name);
    if (first === undefined) names.set(name, index);
    else report("error", ["ports", index, "name"], `is the name of item ${first} too`);
  });
  checkExport(spec.exportTo ?? [], report);
  checkSelector(spec, report);
  checkResolution(spec, report);
  checkEndpoints(spec, new Set(names.keys()), report);
}

export function checkExport(targets: readonly string[], report: Report): void {
  if (targets.length < 2 || !targets.some((target) => target === "*" || target === "~")) return;
  report("error", ["exportTo"], `"*" and "~" stand alone`, "remove the others");
}

function checkSelector({ workloadSelector, endpoints }: Spec, report: Report): void {
  if (workloadSelector === undefined) return;
  if (endpoints !== undefined) {
    const hint = "remove one of the two";
    report("error", ["workloadSelector"], "excludes endpoints, and both are given", hint);
  } else if (Object.keys(workloadSelector.labels ?? {}).length === 0) {
    report("warning", ["workloadSelector"], "has no labels, so it selects nothing", "add labels");
  }
}

function checkResolution(spec: Spec, report: Report): void {
  const { resolution = "NONE", addresses = [], endpoints = [], hosts } = spec;
  const wildcard = hosts.findIndex((name) => name.startsWith("*"));
  if (resolution === "NONE" && endpoints.length > 0) {
    report("error", ["endpoints"], "are not used with resolution NONE", "write STATIC or DNS");
  }
  addresses.forEach((address, index) => {
    if (!address.includes("/") || resolution === "NONE" || resolution === "STATIC") return;
    const hint = "write single addresses, or resolution STATIC or NONE";
    report("error", ["addresses", index], `is a block, which ${resolution} cannot have`, hint);
  });
  const named = resolution === "DNS" || resolution === "DNS_ROUND_ROBIN";
  if (named && endpoints.length === 0 && spec.workloadSelector === undefined && wildcard >= 0) {
    const hint = "add endpoints, or write each host";
    report("error", ["hosts", wildcard], "is a wildcard, which DNS cannot resolve", hint);
  }
  if (resolution === "DYNAMIC_DNS") checkDynamic(spec, report);
}

function checkDynamic({ hosts, addresses = [], endpoints = [] }: Spec, report: Report): void {
  const plain = hosts.findIndex((name) => !name.startsWith("*"));
  if (plain >= 0) report("error", ["hosts", plain], "is no wildcard, as DYNAMIC_DNS needs");
  if (addresses.length > 0) report("error", ["addresses"], "are not used with DYNAMIC_DNS");
  if (endpoints.length > 0) report("error", ["endpoints"], "are not used with DYNAMIC_DNS");
}

function checkEndpoints(spec: Spec, portNames: ReadonlySet<string>, report: Report): void {
  const seen = new Map<string, number>();
  (spec.endpoints ?? []).forEach(({ address = "", ports = {} }, index) => {
    const path = ["endpoints", index];
    if (spec.resolution === "STATIC" && address !== "" && parseIp(address) === undefined) {
      const hint = "write an IP address, or resolution DNS";
      report("error", [...path, "address"], "is a name, which STATIC does not resolve", hint);
    }
    for (const name of Object.keys(ports)) {
      if (portNames.has(name)) continue;
      const hint = `spec.ports has ${[...portNames].join(", ") || "none"}`;
      report("error", [...path, "ports", name], "is no port of this ServiceEntry", hint);
    }
    const first = seen.get(address);
    if (first === undefined) seen.set(address, index);
    else {
      const message = `is the address of item ${first} too: only the first counts`;
      report("warning", [...path, "address"], message);
    }
  });
}
