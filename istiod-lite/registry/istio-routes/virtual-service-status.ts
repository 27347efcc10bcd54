/** What becomes of a VirtualService: where it is in force, and what of it is not. */
import type { VirtualService } from "#common/kubernetes/istio-route-objects.ts";
import type { ObjectChange } from "#common/kubernetes/objects.ts";
import { namespacedName } from "../pod-facts.ts";
import type { Mesh, ServiceFacts } from "../waypoints/contributions.ts";
import { SERVICES_LOOKED_AT } from "./limits.ts";
import { Remarks } from "./remarks.ts";
import { isForMesh, namespaceOf } from "./routing-context.ts";
import type { ServiceHosts } from "./service-hosts.ts";
import type { Outcome } from "./status.ts";

type Protocol = ServiceFacts["ports"][number]["protocol"];

interface StatusDeps {
  /** Its hosts, in full. */
  readonly hosts: readonly string[];
  readonly services: ServiceHosts;
  readonly mesh: Mesh;
  /** Those that hold for a service, it may be this one. */
  readonly rivals: (service: ServiceFacts) => readonly VirtualService[];
  /** Whether routes of another kind hold for the port. */
  readonly isTaken: (service: ServiceFacts, port: number) => boolean;
  /** Undefined where it says nothing of the port. */
  readonly convert: (
    service: ServiceFacts,
    port: number,
    protocol: Protocol,
    remarks: Remarks,
  ) => object | undefined;
}

export function virtualServiceOutcome(virtualService: VirtualService, deps: StatusDeps): Outcome {
  const { hosts = [], gateways = [] } = virtualService.spec;
  const dead = (remark: string): Outcome => ({ inForce: undefined, remarks: [remark] });
  if (!isForMesh(gateways)) {
    return dead(`gateways: ${gateways.join(", ")} is not here: only mesh is`);
  }
  if (hosts.length === 0) return dead("hosts: is empty, and delegation is not supported");
  const remarks = new Remarks();
  const inForce = new Set<string>();
  deps.hosts.forEach((host, index) => {
    const field = `hosts[${index}]`;
    const services = servicesOf(host, virtualService, deps);
    if (services.length === 0) remarks.add(field, `there is no host ${host} that it could route`);
    for (const service of services) {
      if (isInForce(virtualService, service, field, deps, remarks)) inForce.add(service.hostname);
    }
  });
  const foreign = gateways.filter((gateway) => gateway !== "mesh");
  if (foreign.length > 0)
    remarks.add("gateways", `${foreign.join(", ")} is not here: only mesh is`);
  const names = [...inForce].join(", ");
  return {
    inForce: inForce.size === 0 ? undefined : `In force for ${names} where a waypoint serves it`,
    remarks: remarks.all,
  };
}

/** Of its own namespace any; of others for waypoints in its own, which may serve them. */
function servicesOf(
  pattern: string,
  virtualService: VirtualService,
  { services, mesh }: StatusDeps,
): readonly ServiceFacts[] {
  const own = `${namespaceOf(virtualService)}/`;
  const keys = [...services.serviceKeys(pattern)].sort();
  const ordered = [
    ...keys.filter((key) => key.startsWith(own)),
    ...keys.filter((key) => !key.startsWith(own)),
  ];
  return ordered.slice(0, SERVICES_LOOKED_AT).flatMap((key) => {
    const slash = key.indexOf("/");
    return mesh.service(key.slice(0, slash), key.slice(slash + 1)) ?? [];
  });
}

function isInForce(
  virtualService: VirtualService,
  service: ServiceFacts,
  field: string,
  deps: StatusDeps,
  remarks: Remarks,
): boolean {
  const rivals = deps.rivals(service);
  const [first] = rivals;
  if (!rivals.includes(virtualService)) {
    const who = first === undefined ? "none" : `VirtualService ${namespacedName(first)}`;
    const why = first === undefined ? "exportTo leaves its own namespace out" : `${who} is closer`;
    remarks.add(field, `${why}: not in force for ${service.hostname}`);
    return false;
  }
  if (first !== undefined && first !== virtualService) {
    const message = `its routes come after those of VirtualService ${namespacedName(first)}`;
    remarks.add(field, `${message}, which is older`);
  }
  let isOfSome = false;
  for (const { port, protocol } of service.ports) {
    if (deps.convert(service, port, protocol, remarks) === undefined) continue;
    if (deps.isTaken(service, port)) {
      const message = `routes of Gateway API are in force for port ${port} of ${service.hostname}`;
      remarks.add(`${field} (port ${port})`, message);
    } else isOfSome = true;
  }
  if (!isOfSome) remarks.add(field, `none of the routes is for a port of ${service.hostname}`);
  return isOfSome;
}

const NO_PARENTS: readonly string[] = [];

/** The services that Gateway API's routes are attached to: those win over VirtualServices. */
export class RouteParents {
  readonly #parents = new Map<string, readonly string[]>();

  /** `<Kind>/<namespace>/<name>` of the parents that a changed route has had or has now. */
  apply({ key, object }: ObjectChange): readonly string[] {
    const before = this.#parents.get(key) ?? NO_PARENTS;
    const now = object === undefined ? NO_PARENTS : parentsOf(object);
    if (now.length === 0) this.#parents.delete(key);
    else this.#parents.set(key, now);
    return [...before, ...now];
  }
}

function parentsOf(object: NonNullable<ObjectChange["object"]>): readonly string[] {
  switch (object.kind) {
    case "HTTPRoute":
    case "GRPCRoute":
    case "TCPRoute":
    case "TLSRoute": {
      const { namespace: own = "default" } = object.metadata;
      return (object.spec.parentRefs ?? []).map(
        ({ kind = "", namespace = own, name }) => `${kind}/${namespace}/${name}`,
      );
    }
    default:
      return NO_PARENTS;
  }
}
