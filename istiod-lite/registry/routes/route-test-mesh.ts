/** A mesh of a few services, and routes to them, for the tests of this folder. */
import { type KubernetesObject, type ObjectChange, objectKey } from "#common/kubernetes/objects.ts";
import type { GatewayRoute, ReferenceGrant } from "#common/kubernetes/route-objects.ts";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";
import type { PortConfig } from "#common/model/waypoint/resource.ts";
import type { ObjectStatus } from "../registry-update.ts";
import type { Affected, Mesh, ServiceFacts } from "../waypoints/contributions.ts";
import { GatewayRoutes } from "./gateway-routes.ts";

type Json = Readonly<Record<string, unknown>>;

const GROUP = "gateway.networking.k8s.io";
export const HTTP_PORT = { port: 80, name: "http", protocol: "http" } as const;

/** A Service of the cluster, with one HTTP port unless said otherwise. */
export function service(
  namespace: string,
  name: string,
  ports: ServiceFacts["ports"] = [HTTP_PORT],
): ServiceFacts {
  const hostname = `${name}.${namespace}.svc.cluster.local`;
  return { kind: "Service", namespace, name, hostname, ports, labels: {} };
}

/** Of a ServiceEntry, one per host. */
export function entryHost(namespace: string, name: string, hostname: string): ServiceFacts {
  return { ...service(namespace, name), kind: "ServiceEntry", hostname };
}

/** Validated, as everything is that reaches the registry. Throws for what is not valid. */
export function valid<Kind extends KubernetesObject["kind"]>(
  kind: Kind,
  value: Json,
): Extract<KubernetesObject, { kind: Kind }> {
  const { object, issues } = validateObject(value);
  if (object?.kind !== kind) throw new Error(`no ${kind}: ${JSON.stringify(issues)}`);
  // Its kind has just been compared.
  return object as Extract<KubernetesObject, { kind: Kind }>;
}

/** In namespace shop, attached to shop/web, unless said otherwise. */
export function route<Kind extends GatewayRoute["kind"]>(
  kind: Kind,
  spec: Json,
  metadata: Json = {},
): Extract<GatewayRoute, { kind: Kind }> {
  const parentRefs = [{ group: "", kind: "Service", name: "web" }];
  return valid(kind, {
    apiVersion: `${GROUP}/v1`,
    kind,
    metadata: { name: "r", namespace: "shop", generation: 1, ...metadata },
    spec: { parentRefs, ...spec },
  }) as Extract<GatewayRoute, { kind: Kind }>;
}

/** To HTTPRoutes of namespace shop, for all Services of the namespace unless said otherwise. */
export function grant(namespace: string, to: Json = {}, from: Json = {}): ReferenceGrant {
  return valid("ReferenceGrant", {
    apiVersion: `${GROUP}/v1beta1`,
    kind: "ReferenceGrant",
    metadata: { name: "g", namespace },
    spec: {
      from: [{ group: GROUP, kind: "HTTPRoute", namespace: "shop", ...from }],
      to: [{ group: "", kind: "Service", ...to }],
    },
  });
}

/** Routes and the services around them; whoever tests changes `services` and tells it. */
export class RouteFixture {
  readonly routes = new GatewayRoutes({ clusterDomain: "cluster.local" });
  readonly services = new Map<string, readonly ServiceFacts[]>();

  constructor(...services: readonly ServiceFacts[]) {
    for (const facts of services) this.services.set(keyOf(facts), [facts]);
  }

  readonly mesh: Mesh = {
    service: (namespace, hostname) =>
      [...this.services.values()]
        .flat()
        .find((facts) => facts.namespace === namespace && facts.hostname === hostname),
    serviceByRef: (kind, namespace, name) =>
      this.services.get(`${kind}/${namespace}/${name}`) ?? [],
    hasWaypoint: () => true,
    workloads: () => [],
    workloadsWith: () => [],
    namespaceLabels: () => ({}),
  };

  set(object: KubernetesObject): Affected {
    return this.apply({ key: objectKey(object), kind: object.kind, object });
  }

  delete(object: KubernetesObject): Affected {
    return this.apply({ key: objectKey(object), kind: object.kind });
  }

  apply(change: ObjectChange): Affected {
    return this.routes.apply(change, this.mesh);
  }

  /** Adds or replaces a service, as a change of its object would. */
  setService(facts: ServiceFacts): Affected {
    this.services.set(keyOf(facts), [facts]);
    return this.apply({ key: keyOf(facts), kind: facts.kind });
  }

  deleteService(facts: ServiceFacts): Affected {
    this.services.delete(keyOf(facts));
    return this.apply({ key: keyOf(facts), kind: facts.kind });
  }

  /** What the waypoint of a service is told of one of its ports. */
  of(facts: ServiceFacts, port = 80): Pick<PortConfig, "http" | "tls" | "tcp"> | undefined {
    return this.routes.routesOf(facts, port, this.mesh);
  }

  statuses(): readonly ObjectStatus[] {
    return this.routes.takeStatuses(this.mesh);
  }
}

function keyOf({ kind, namespace, name }: ServiceFacts): string {
  return `${kind}/${namespace}/${name}`;
}
