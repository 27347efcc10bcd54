/** Services and EndpointSlices. */

import type { EndpointSlice, KubeService } from "#common/kubernetes/objects.ts";
import { protocol } from "#common/kubernetes/validate/container.ts";
import { differInFamily } from "#common/kubernetes/validate/core-kinds.ts";
import {
  dnsServiceLabel,
  dnsSubdomain,
  ipAddress,
  labelKey,
  notEmpty,
  portNameCheck,
} from "#common/kubernetes/validate/formats.ts";
import { defineKind, labels } from "#common/kubernetes/validate/metadata.ts";
import {
  boolean,
  list,
  object,
  oneOf,
  port,
  portOrName,
  type Refusal,
  type Report,
  text,
} from "#common/kubernetes/validate/schema.ts";
import {
  cidrContains,
  type IpAddress,
  ipToBytes,
  isIpv6Address,
  parseCidr,
  parseIp,
} from "#common/model/ip.ts";

type ServiceSpec = KubeService["spec"];

const servicePort = object(
  {
    // Service port names are DNS labels; Kubernetes allows more here than in containers.
    name: text((name) => (name === "" ? undefined : dnsServicePortName(name))),
    port,
    targetPort: portOrName,
    protocol,
    appProtocol: text(labelKey),
  },
  { required: ["port"], unread: ["nodePort"] },
);

export const service = defineKind({
  kind: "Service",
  name: dnsServiceLabel,
  required: ["spec"],
  fields: {
    spec: object<ServiceSpec>(
      {
        type: oneOf("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
        clusterIP: text(clusterIp),
        clusterIPs: list(text(clusterIp), { max: 2 }),
        ipFamilies: list<string>(oneOf("IPv4", "IPv6"), {
          max: 2,
          unique: (family) => `family ${family}`,
        }),
        ipFamilyPolicy: oneOf("SingleStack", "PreferDualStack", "RequireDualStack"),
        selector: labels,
        ports: list<{ port: number; protocol?: string }>(servicePort, {
          unique: (entry) => `port and protocol ${entry.port}/${entry.protocol ?? "TCP"}`,
        }),
        externalName: text(dnsSubdomain),
        publishNotReadyAddresses: boolean,
        internalTrafficPolicy: oneOf("Cluster", "Local"),
        trafficDistribution: oneOf("PreferClose", "PreferSameZone", "PreferSameNode"),
        sessionAffinity: oneOf("None", "ClientIP"),
      },
      { unread: ["externalIPs", "externalTrafficPolicy"], check: checkService },
    ),
  },
});

function dnsServicePortName(name: string): Refusal | undefined {
  return /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name) ? undefined : portNameCheck(name);
}

function clusterIp(value: string): Refusal | undefined {
  return value === "" || value === "None" ? undefined : ipAddress(value);
}

function checkService(spec: ServiceSpec, report: Report): void {
  const ports = spec.ports ?? [];
  const headless = spec.clusterIP === "None" || spec.clusterIPs?.[0] === "None";
  if (spec.type === "ExternalName") {
    if (spec.externalName === undefined) {
      report("error", ["externalName"], "is required but missing when type is ExternalName");
    }
  } else if (ports.length === 0 && !headless) {
    report("error", ["ports"], "is required but missing", "only headless Services have no ports");
  }
  const names = new Map<string, number>();
  ports.forEach(({ name = "" }, index) => {
    if (ports.length > 1 && name === "") {
      report("error", ["ports", index, "name"], "is required with several ports");
    }
    if (name !== "" && names.has(name)) {
      report("error", ["ports", index, "name"], `is the name of item ${names.get(name)} too`);
    }
    names.set(name, index);
  });
  checkFamilies(spec, report);
}

function checkFamilies(spec: ServiceSpec, report: Report): void {
  const { clusterIP = "", clusterIPs = [], ipFamilies = [] } = spec;
  const [first, second] = clusterIPs;
  if (clusterIP !== "" && first !== undefined && first !== clusterIP) {
    report("error", ["clusterIPs", 0], `differs from clusterIP, ${clusterIP}`);
  }
  if (first !== undefined && second !== undefined && !differInFamily(first, second)) {
    report("error", ["clusterIPs"], "two addresses must be one IPv4 and one IPv6 address");
  }
  if (spec.ipFamilyPolicy === "SingleStack" && Math.max(clusterIPs.length, ipFamilies.length) > 1) {
    report("error", ["ipFamilyPolicy"], "SingleStack allows one family, but two are given");
  }
  const addresses = clusterIPs.length > 0 ? clusterIPs : [clusterIP];
  addresses.forEach((address, index) => {
    const family = familyOf(address);
    const wanted = ipFamilies[index];
    if (family === undefined || wanted === undefined || family === wanted) return;
    report("error", ["ipFamilies", index], `is ${wanted}, but the cluster IP is ${address}`);
  });
}

function familyOf(text: string): "IPv4" | "IPv6" | undefined {
  const ip = parseIp(text);
  if (ip === undefined) return undefined;
  return isIpv6Address(ip) ? "IPv6" : "IPv4";
}

const endpoint = object(
  {
    addresses: list(text(notEmpty), { min: 1, max: 100 }),
    conditions: object({ ready: boolean, serving: boolean, terminating: boolean }),
    nodeName: text(dnsSubdomain),
    targetRef: object(
      { kind: text(notEmpty), namespace: text(), name: text(notEmpty), uid: text() },
      { required: ["kind", "name"] },
    ),
  },
  { required: ["addresses"] },
);

export const endpointSlice = defineKind<EndpointSlice>({
  kind: "EndpointSlice",
  group: "discovery.k8s.io",
  name: dnsSubdomain,
  required: ["addressType"],
  // The API server writes null for an empty list here.
  defaults: { endpoints: [] },
  fields: {
    addressType: oneOf("IPv4", "IPv6", "FQDN"),
    endpoints: list(endpoint, { max: 1_000 }),
    ports: list<{ name?: string }>(
      object({
        name: text((name) => (name === "" ? undefined : dnsServicePortName(name))),
        port,
        protocol,
        appProtocol: text(labelKey),
      }),
      { unique: ({ name = "" }) => `name ${JSON.stringify(name)}` },
    ),
  },
  check: checkSlice,
});

function checkSlice(slice: EndpointSlice, report: Report): void {
  slice.endpoints.forEach(({ addresses }, i) => {
    addresses.forEach((address, j) => {
      const refusal = endpointAddress(address, slice.addressType);
      if (refusal === undefined) return;
      report("error", ["endpoints", i, "addresses", j], refusal.message, refusal.hint);
    });
  });
  if (slice.metadata.labels?.["kubernetes.io/service-name"] === undefined) {
    const path = ["metadata", "labels"];
    const hint = "add the label kubernetes.io/service-name";
    report("warning", path, "these endpoints belong to no Service", hint);
  }
}

function endpointAddress(address: string, type: EndpointSlice["addressType"]): Refusal | undefined {
  if (type === "FQDN") return dnsSubdomain(address);
  const family = familyOf(address);
  if (family !== type) return { message: `${JSON.stringify(address)} is no ${type} address` };
  return forbiddenEndpoint(parseIp(address) as IpAddress);
}

/**
 * Addresses that mean another host at every place, so that an EndpointSlice must not name them: who
 * may write one could otherwise reach what listens on a node only. Source: Kubernetes' own API
 * validation.
 */
const FORBIDDEN: readonly (readonly [string, string])[] = [
  ["0.0.0.0/32", "unspecified"],
  ["::/128", "unspecified"],
  ["127.0.0.0/8", "loopback"],
  ["::1/128", "loopback"],
  ["169.254.0.0/16", "link-local"],
  ["fe80::/10", "link-local"],
  ["224.0.0.0/24", "link-local multicast"],
  ["ff02::/16", "link-local multicast"],
];

function forbiddenEndpoint(ip: IpAddress): Refusal | undefined {
  const bytes = ipToBytes(ip);
  for (const [block, what] of FORBIDDEN) {
    const cidr = parseCidr(block);
    if (cidr === undefined || !cidrContains(cidr, bytes)) continue;
    return { message: `${ip} is a ${what} address, which no endpoint may have` };
  }
  return undefined;
}
