/** Whether a route is attached to a parent that it names, and to which of its ports. */
import type { GatewayRoute, ParentReference } from "#common/kubernetes/route-objects.ts";
import type { Mesh, ServiceFacts } from "../waypoints/contributions.ts";
import { parentOf, referenceKey, type ServiceReference } from "./reference-keys.ts";
import { list } from "./resolve-backend.ts";

type Port = ServiceFacts["ports"][number];
type RouteKind = GatewayRoute["kind"];

/** Source: Gateway API, RouteConditionReason of Accepted; Conflicted is that of policies. */
export type RefusalReason = "NoMatchingParent" | "NotAllowedByListeners" | "Conflicted";

export type Attachment =
  | { readonly ports: readonly Port[] }
  | { readonly ports?: never; readonly reason: RefusalReason; readonly message: string };

/** Protocols of ports whose traffic a kind of route can tell apart. */
const CARRIERS: Readonly<Record<RouteKind, readonly Port["protocol"][]>> = {
  HTTPRoute: ["auto", "http", "http2", "grpc"],
  GRPCRoute: ["auto", "http", "http2", "grpc"],
  TLSRoute: ["auto", "tls"],
  TCPRoute: ["auto", "tcp", "tls"],
};

/**
 * The only namespace whose clients the route is for: its own, where that is not the service's
 * (GEP-1294). Undefined: it is for everybody.
 */
export function consumerNamespace(
  { metadata: { namespace = "default" } }: GatewayRoute,
  parent: ServiceReference,
): string | undefined {
  return namespace === parent.namespace ? undefined : namespace;
}

/** Undefined for parents of other kinds. */
export function attach(
  route: GatewayRoute,
  ref: ParentReference,
  mesh: Mesh,
): Attachment | undefined {
  const parent = parentOf(ref, route.metadata.namespace ?? "default");
  if (parent === undefined) return undefined;
  const { kind, namespace, name } = parent;
  const [service] = mesh.serviceByRef(kind, namespace, name);
  if (service === undefined) {
    const message = `there is no ${kind} ${namespace}/${name} in the mesh`;
    return { reason: "NoMatchingParent", message };
  }
  const ports = service.ports.filter((port) => isNamed(port, ref));
  if (ports.length === 0) {
    const message = `${kind} ${namespace}/${name} has no ${wanted(ref)}, it has ${list(service)}`;
    return { reason: "NoMatchingParent", message };
  }
  const carried = ports.filter((port) => CARRIERS[route.kind].includes(port.protocol));
  if (carried.length === 0) return refuseProtocol(route.kind, ports);
  return { ports: carried };
}

/** Whether the service's port is one that the route is in force on. */
export function attachesTo(route: GatewayRoute, service: ServiceFacts, port: Port): boolean {
  if (!CARRIERS[route.kind].includes(port.protocol)) return false;
  const { namespace = "default" } = route.metadata;
  return (route.spec.parentRefs ?? []).some((ref) => {
    const parent = parentOf(ref, namespace);
    const isParent = parent !== undefined && referenceKey(parent) === referenceKey(service);
    return isParent && isNamed(port, ref);
  });
}

/** Whether the reference is to this port of its parent: all of them unless it says which. */
function isNamed({ port, name }: Port, ref: ParentReference): boolean {
  return (ref.port ?? port) === port && (ref.sectionName ?? name) === name;
}

function wanted({ port, sectionName }: ParentReference): string {
  const parts = [
    ...(port === undefined ? [] : [`port ${port}`]),
    ...(sectionName === undefined ? [] : [`port named ${sectionName}`]),
  ];
  return parts.length === 0 ? "TCP port" : parts.join(" that is the ");
}

function refuseProtocol(kind: RouteKind, ports: readonly Port[]): Attachment {
  const found = ports.map(({ port, protocol }) => `port ${port} carries ${protocol}`).join(", ");
  const message =
    `${found}, which no ${kind} can route: name the port's protocol by its appProtocol ` +
    `(${CARRIERS[kind].filter((protocol) => protocol !== "auto").join(", ")})`;
  return { reason: "NotAllowedByListeners", message };
}
