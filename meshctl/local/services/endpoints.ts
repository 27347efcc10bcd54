/**
 * Which pods stand behind a service: EndpointSlices as Kubernetes' controller makes them, and the
 * plain lists that address translation and DNS need.
 */

import type {
  EndpointSlice,
  KubeService,
  KubeServicePort,
  Pod,
} from "#common/kubernetes/objects.ts";
import { isReady } from "#common/kubernetes/pod-readiness.ts";
import { type IpAddress, isIpv6Address, parseIp } from "#common/model/ip.ts";

/** The label by which a slice belongs to a service. */
export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

export interface ServiceEndpoint {
  readonly ip: IpAddress;
  readonly port: number;
  readonly ready: boolean;
  readonly nodeName: string | undefined;
  /** The name below a headless service's own: the pod's hostname, or the address with dashes. */
  readonly hostname: string;
}

/** The slices of a service with a selector: per address family and per set of port numbers. */
export function slicesOf(service: KubeService, pods: readonly Pod[]): readonly EndpointSlice[] {
  const { selector, ipFamilies = ["IPv4"] } = service.spec;
  if (selector === undefined || service.spec.type === "ExternalName") return [];
  const behind = pods.filter((pod) => isBehind(pod, service, selector));
  return ipFamilies.flatMap((family) => familySlices(service, family, behind));
}

function isBehind(pod: Pod, service: KubeService, selector: Readonly<Record<string, string>>) {
  const labels = pod.metadata.labels ?? {};
  const phase = pod.status?.phase;
  return (
    pod.metadata.namespace === service.metadata.namespace &&
    phase !== "Succeeded" &&
    phase !== "Failed" &&
    Object.entries(selector).every(([key, value]) => labels[key] === value)
  );
}

function familySlices(
  service: KubeService,
  family: "IPv4" | "IPv6",
  pods: readonly Pod[],
): readonly EndpointSlice[] {
  const groups = new Map<string, { ports: EndpointSlice["ports"]; pods: Pod[] }>();
  for (const pod of pods) {
    const ports = slicePorts(service, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, pods: [] };
    group.pods.push(pod);
    groups.set(key, group);
  }
  if (groups.size === 0) groups.set("", { ports: [], pods: [] });
  const { name, namespace } = service.metadata;
  return [...groups.values()].map((group, i) => ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `${name}-${family.toLowerCase()}${i === 0 ? "" : `-${i}`}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { [SERVICE_NAME_LABEL]: name },
      ownerReferences: [{ apiVersion: "v1", kind: "Service", name, controller: true }],
    },
    addressType: family,
    endpoints: group.pods.flatMap((pod) => endpointOf(service, family, pod)),
    ...(group.ports === undefined ? {} : { ports: group.ports }),
  }));
}

function endpointOf(
  service: KubeService,
  family: "IPv4" | "IPv6",
  pod: Pod,
): EndpointSlice["endpoints"] {
  const ip = pod.status?.podIPs?.find(
    (entry) => entry.ip.includes(":") === (family === "IPv6"),
  )?.ip;
  if (ip === undefined) return [];
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const serving = isReady(pod);
  const ready = (serving && !terminating) || service.spec.publishNotReadyAddresses === true;
  const { name, namespace, uid } = pod.metadata;
  const { hostname, subdomain, nodeName } = pod.spec;
  return [
    {
      addresses: [ip],
      conditions: { ready, serving, terminating },
      ...(nodeName === undefined ? {} : { nodeName }),
      ...(hostname === undefined || subdomain !== service.metadata.name ? {} : { hostname }),
      targetRef: {
        kind: "Pod",
        name,
        ...(namespace === undefined ? {} : { namespace }),
        ...(uid === undefined ? {} : { uid }),
      },
    },
  ];
}

function slicePorts(service: KubeService, pod: Pod): EndpointSlice["ports"] {
  return (service.spec.ports ?? []).flatMap((port) => {
    const number = targetPort(port, pod);
    if (number === undefined) return [];
    const { name, appProtocol, protocol = "TCP" } = port;
    const optional = appProtocol === undefined ? {} : { appProtocol };
    return [{ ...(name === undefined ? {} : { name }), port: number, protocol, ...optional }];
  });
}

/** The number behind a service port on this pod; undefined if the pod has no port of that name. */
export function targetPort(port: KubeServicePort, pod: Pod): number | undefined {
  const { targetPort: target = port.port, protocol = "TCP" } = port;
  return typeof target === "number" ? target : namedPort(pod, target, protocol);
}

/** The number of a pod's named container port. */
export function namedPort(pod: Pod, name: string, protocol = "TCP"): number | undefined {
  return pod.spec.containers
    .flatMap((container) => container.ports ?? [])
    .find((port) => port.name === name && (port.protocol ?? "TCP") === protocol)?.containerPort;
}

/** The endpoints behind one port of a service, from all its slices, in the order of the slices. */
export function endpointsOf(
  service: KubeService,
  port: KubeServicePort,
  slices: readonly EndpointSlice[],
): readonly ServiceEndpoint[] {
  return slices
    .filter((slice) => belongsTo(slice, service))
    .flatMap((slice) => {
      const found = slice.ports?.find(
        (candidate) =>
          (candidate.name ?? "") === (port.name ?? "") &&
          (candidate.protocol ?? "TCP") === (port.protocol ?? "TCP"),
      );
      return found?.port === undefined ? [] : sliceEndpoints(slice, found.port);
    });
}

export function belongsTo(slice: EndpointSlice, service: KubeService): boolean {
  return (
    slice.metadata.namespace === service.metadata.namespace &&
    slice.metadata.labels?.[SERVICE_NAME_LABEL] === service.metadata.name
  );
}

/** Every address of a slice, with this port (0 where the port does not matter). */
export function sliceEndpoints(slice: EndpointSlice, port: number): readonly ServiceEndpoint[] {
  return slice.endpoints.flatMap((endpoint) =>
    endpoint.addresses.flatMap((text) => {
      const ip = parseIp(text);
      if (ip === undefined) return [];
      const hostname = endpoint.hostname ?? dashed(ip);
      const ready = endpoint.conditions?.ready !== false;
      return [{ ip, port, ready, nodeName: endpoint.nodeName, hostname }];
    }),
  );
}

/** `10-244-1-2`, `fd00--2`: an address as one DNS label, as CoreDNS writes it. */
export function dashed(ip: IpAddress): string {
  return ip.replaceAll(isIpv6Address(ip) ? ":" : ".", "-");
}
