/** The status of a route: `status.parents`, our entries of it. */
import type { GatewayRoute, ParentReference, ParentStatus } from "#common/kubernetes/objects.ts";
import { ROUTE_CONTROLLER } from "#common/kubernetes/route-objects.ts";
import type { ObjectStatus } from "../registry-update.ts";
import type { Mesh, ServiceFacts } from "../waypoints/contributions.ts";
import { type Attachment, attach } from "./attachment.ts";
import type { ConvertedRoute } from "./convert-route.ts";
import { parentOf } from "./reference-keys.ts";
import { routeConditions } from "./route-conditions.ts";
import type { Placed } from "./route-index.ts";

type Port = ServiceFacts["ports"][number];
/** The TCPRoute that a port's connections follow. */
type Winner = (service: ServiceFacts, port: Port) => Placed | undefined;

interface KnownRoute {
  readonly key: string;
  readonly route: GatewayRoute;
  readonly converted: ConvertedRoute;
}

/** Undefined where there is nothing to say, and nothing was said before. */
export function routeStatus(
  known: KnownRoute,
  mesh: Mesh,
  winner: Winner,
  saidBefore: boolean,
): ObjectStatus | undefined {
  const { route } = known;
  const ignored = ignoredParts(route);
  const parents = (route.spec.parentRefs ?? []).flatMap((ref): ParentStatus[] => {
    const attachment = attach(route, ref, mesh);
    if (attachment === undefined) return [];
    const settled =
      route.kind === "TCPRoute" ? contend(known, ref, attachment, mesh, winner) : attachment;
    const conditions = routeConditions(settled, known.converted, ignored);
    return [{ parentRef: ref, controllerName: ROUTE_CONTROLLER, conditions }];
  });
  const old = route.status?.parents ?? [];
  const hasOld = saidBefore || old.some((entry) => entry.controllerName === ROUTE_CONTROLLER);
  if (parents.length === 0 && !hasOld) return undefined;
  const { namespace = "default", name, generation } = route.metadata;
  const fields = { parents };
  return { kind: route.kind, namespace, name, generation, conditions: [], warnings: [], fields };
}

/** The mesh must not take a meaning from host names of these routes (GEP-1294). */
function ignoredParts(route: GatewayRoute): readonly string[] {
  if (route.kind !== "HTTPRoute" && route.kind !== "GRPCRoute") return [];
  if ((route.spec.hostnames ?? []).length === 0) return [];
  return ["spec.hostnames has no effect: the parent service says which requests the route gets"];
}

/** Nothing tells the connections of one TCPRoute from another's: the oldest has them all. */
function contend(
  { key, route }: KnownRoute,
  ref: ParentReference,
  attachment: Attachment,
  mesh: Mesh,
  winner: Winner,
): Attachment {
  const parent = parentOf(ref, route.metadata.namespace ?? "default");
  if (attachment.ports === undefined || parent === undefined) return attachment;
  const [service] = mesh.serviceByRef(parent.kind, parent.namespace, parent.name);
  if (service === undefined) return attachment;
  const won = attachment.ports.filter((port) => winner(service, port)?.key === key);
  if (won.length > 0) return { ports: won };
  const [first] = attachment.ports;
  const holder = first === undefined ? undefined : winner(service, first);
  const message = `TCPRoute ${holder?.fullName ?? ""} is older and has its connections`;
  return { reason: "Conflicted", message };
}
