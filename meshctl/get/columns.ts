/** What `meshctl get` shows of each kind of object. */
import type {
  AuthorizationPolicy,
  Condition,
  Deployment,
  EndpointSlice,
  KubernetesObject,
  KubeService,
  Namespace,
  Node,
  PeerAuthentication,
  Pod,
} from "#common/kubernetes/objects.ts";
import {
  CAPTURE_PROBLEM_ANNOTATION,
  CAPTURE_REPAIRS_ANNOTATION,
} from "#common/model/captured-pod.ts";
import { DATAPLANE_MODE_LABEL, REDIRECTION_ANNOTATION } from "#meshctl/annotations.ts";
import { formatAge } from "#meshctl/table.ts";
import { serviceEntryColumns, workloadEntryColumns } from "./entry-columns.ts";
import { gatewayClassColumns, gatewayColumns } from "./gateway-columns.ts";
import { backendTlsPolicyColumns, routeColumns } from "./route-columns.ts";

const TRUST_DOMAIN = "cluster.local";
const NONE = "-";

export interface Columns {
  readonly header: readonly string[];
  readonly cells: readonly string[];
}

/** The columns between the name and the age; more of them if `wide`. */
export function columnsOf(object: KubernetesObject, wide: boolean): Columns {
  switch (object.kind) {
    case "Pod":
      return podColumns(object, wide);
    case "Service":
      return serviceColumns(object, wide);
    case "Node":
      return nodeColumns(object);
    case "Namespace":
      return namespaceColumns(object);
    case "Deployment":
      return deploymentColumns(object);
    case "EndpointSlice":
      return sliceColumns(object);
    case "ServiceEntry":
      return withAccepted(serviceEntryColumns(object), object.status?.conditions);
    case "WorkloadEntry":
      return withAccepted(workloadEntryColumns(object), object.status?.conditions);
    case "AuthorizationPolicy":
      return policyColumns(object);
    case "PeerAuthentication":
      return peerAuthenticationColumns(object);
    case "Gateway":
      return gatewayColumns(object);
    case "GatewayClass":
      return gatewayClassColumns(object);
    case "HTTPRoute":
    case "GRPCRoute":
    case "TCPRoute":
    case "TLSRoute":
      return routeColumns(object);
    case "BackendTLSPolicy":
      return backendTlsPolicyColumns(object);
    case "ConfigMap":
      return { header: ["DATA"], cells: [String(Object.keys(object.data ?? {}).length)] };
    default:
      return { header: [], cells: [] };
  }
}

export function ageOf(object: KubernetesObject, now: Date): string {
  return formatAge(object.metadata.creationTimestamp, now);
}

/** The parts of a container's status that are shown. */
interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly state: {
    readonly waiting?: { readonly reason?: string };
    readonly terminated?: { readonly reason?: string };
  };
}

function podColumns(pod: Pod, wide: boolean): Columns {
  const statuses = containerStatuses(pod);
  const ready = `${statuses.filter((s) => s.ready).length}/${pod.spec.containers.length}`;
  const ips = pod.status?.podIPs?.map((entry) => entry.ip) ?? [];
  const mesh = meshState(pod);
  const restarts = statuses.reduce((sum, status) => sum + status.restartCount, 0);
  const images = pod.spec.containers.map((container) => container.image).join(",");
  const { namespace, annotations = {} } = pod.metadata;
  const serviceAccount = pod.spec.serviceAccountName ?? "default";
  const captured = annotations[REDIRECTION_ANNOTATION] !== undefined;
  const identity = captured
    ? `spiffe://${TRUST_DOMAIN}/ns/${namespace}/sa/${serviceAccount}`
    : NONE;
  return {
    header: [
      ...["READY", "STATUS", "NODE", "ADDRESS", "MESH", "IDENTITY"],
      ...(wide ? ["RESTARTS", "IMAGES"] : []),
    ],
    cells: [
      ready,
      podStatusWord(pod, statuses),
      pod.spec.nodeName ?? NONE,
      (wide ? ips.join(",") : ips[0]) ?? NONE,
      mesh,
      identity,
      ...(wide ? [String(restarts), images] : []),
    ],
  };
}

function containerStatuses(pod: Pod): readonly ContainerStatus[] {
  const { containerStatuses: statuses } = (pod.status ?? {}) as {
    containerStatuses?: readonly ContainerStatus[];
  };
  return statuses ?? [];
}

/** kubectl's word: the most telling of phase, container states and deletion. */
function podStatusWord(pod: Pod, statuses: readonly ContainerStatus[]): string {
  if (pod.metadata.deletionTimestamp !== undefined) return "Terminating";
  for (const { state } of statuses) {
    const reason = state.waiting?.reason ?? state.terminated?.reason;
    if (reason !== undefined) return reason;
  }
  return pod.status?.reason ?? pod.status?.phase ?? "Unknown";
}

/**
 * `enabled`: captured. `pending`: on the way. `host`: never, because it is in the node's network.
 * `failed`, and what is in brackets: see the pod's annotations, and its Events.
 */
function meshState(pod: Pod): string {
  if (pod.spec.hostNetwork === true) return "host";
  const { annotations = {} } = pod.metadata;
  const state = annotations[REDIRECTION_ANNOTATION] ?? NONE;
  const problem = annotations[CAPTURE_PROBLEM_ANNOTATION];
  if (problem?.startsWith("no ztunnel")) return "closed (no ztunnel)";
  if (problem != null) return state === "enabled" ? "enabled (unstable)" : "failed";
  const repairs = Number.parseInt(annotations[CAPTURE_REPAIRS_ANNOTATION] ?? "", 10);
  if (Number.isNaN(repairs)) return state;
  return `${state} (${repairs} repair${repairs === 1 ? "" : "s"})`;
}

function serviceColumns(service: KubeService, wide: boolean): Columns {
  const { type = "ClusterIP", clusterIPs = [], ports = [], selector } = service.spec;
  const addresses = clusterIPs.join(",") || service.spec.externalName || NONE;
  const portText = ports
    .map((port) => `${port.port}${target(port.targetPort)}/${port.protocol ?? "TCP"}`)
    .join(",");
  return {
    header: ["TYPE", "CLUSTER-IP", "PORTS", ...(wide ? ["SELECTOR"] : [])],
    cells: [type, addresses, portText || NONE, ...(wide ? [pairs(selector)] : [])],
  };
}

function target(port: number | string | undefined): string {
  return port === undefined ? "" : `->${port}`;
}

function nodeColumns(node: Node): Columns {
  const addresses = node.status?.addresses?.filter(({ type }) => type === "InternalIP") ?? [];
  return {
    header: ["ADDRESSES", "POD CIDRS"],
    cells: [
      addresses.map(({ address }) => address).join(",") || NONE,
      node.spec?.podCIDRs?.join(",") || NONE,
    ],
  };
}

function namespaceColumns(namespace: Namespace): Columns {
  const mode = namespace.metadata.labels?.[DATAPLANE_MODE_LABEL];
  return { header: ["DATAPLANE MODE"], cells: [mode ?? NONE] };
}

function deploymentColumns(deployment: Deployment): Columns {
  const { replicas = 1, selector } = deployment.spec;
  return {
    header: ["REPLICAS", "SELECTOR"],
    cells: [String(replicas), pairs(selector.matchLabels)],
  };
}

function sliceColumns(slice: EndpointSlice): Columns {
  const ports = slice.ports?.map((port) => port.port ?? "*").join(",") || NONE;
  const endpoints = slice.endpoints
    .map(({ addresses, conditions }) => {
      return `${addresses.join("+")}${conditions?.ready === false ? " (not ready)" : ""}`;
    })
    .join(",");
  return {
    header: ["ADDRESSTYPE", "PORTS", "ENDPOINTS"],
    cells: [slice.addressType, ports, endpoints || NONE],
  };
}

function policyColumns(policy: AuthorizationPolicy): Columns {
  const { action = "ALLOW", rules = [], selector, targetRefs = [], targetRef } = policy.spec ?? {};
  const targets = targetRef === undefined ? targetRefs : [targetRef];
  const scope = targets.map(({ kind, name }) => `${kind}/${name}`).join(",");
  return {
    header: ["ACTION", "RULES", "APPLIES TO", "ACCEPTED"],
    cells: [
      action,
      String(rules.length),
      scope || (selector === undefined ? "all pods" : pairs(selector.matchLabels)),
      accepted(policy.status?.conditions),
    ],
  };
}

function withAccepted({ header, cells }: Columns, conditions?: readonly Condition[]): Columns {
  return { header: [...header, "ACCEPTED"], cells: [...cells, accepted(conditions)] };
}

/** The condition that says most about whether a policy does what it says. */
function accepted(conditions: readonly Condition[] = []): string {
  const bad = conditions.find((condition) => condition.status === "False");
  if (bad !== undefined) return `no: ${bad.reason ?? bad.type}`;
  return conditions.length === 0 ? NONE : "yes";
}

function peerAuthenticationColumns(policy: PeerAuthentication): Columns {
  const { mtls, selector, portLevelMtls = {} } = policy.spec ?? {};
  const ports = Object.entries(portLevelMtls).map(([port, { mode }]) => `${port}:${mode}`);
  return {
    header: ["MODE", "PORTS", "APPLIES TO"],
    cells: [
      mtls?.mode ?? "UNSET",
      ports.join(",") || NONE,
      selector === undefined ? "all pods" : pairs(selector.matchLabels),
    ],
  };
}

function pairs(map: Readonly<Record<string, string>> | undefined): string {
  const text = Object.entries(map ?? {}).map(([key, value]) => `${key}=${value}`);
  return text.join(",") || NONE;
}
