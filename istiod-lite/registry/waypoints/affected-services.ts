/**
 * Which services of which waypoints are to be derived again after a change of routes or policies:
 * found from what changed, not by walking all that waypoints are told of.
 */
import type { Affected, Mesh } from "./contributions.ts";
import type { ToldServices } from "./told-services.ts";

/** What changed: services of routes (`<namespace>/<hostname>`), and targets of policies. */
export interface Changed {
  readonly routes: Affected;
  /** `<Kind>/<namespace>/<name>`. */
  readonly targets: Affected;
}

type Told = Pick<ToldServices, "waypoints" | "of" | "tells">;

/** Each pair once. `whole`: waypoints of which every service is affected. */
export function affectedServices(
  told: Told,
  mesh: Pick<Mesh, "serviceByRef">,
  changed: Changed,
  whole: (waypoint: string) => boolean,
): readonly { readonly waypoint: string; readonly key: string }[] {
  const { routes, targets } = changed;
  if (routes === "none" && targets === "none") return [];
  const services = servicesOf(changed, told, mesh);
  return [...told.waypoints()].flatMap((waypoint) => {
    const all = routes === "all" || targets === "all" || whole(waypoint);
    const keys = all
      ? [...told.of(waypoint)]
      : [...services].filter((key) => told.tells(waypoint, key));
    return keys.map((key) => ({ waypoint, key }));
  });
}

function servicesOf(
  { routes, targets }: Changed,
  told: Told,
  mesh: Pick<Mesh, "serviceByRef">,
): ReadonlySet<string> {
  const keys = new Set(typeof routes === "string" ? [] : routes);
  for (const target of typeof targets === "string" ? [] : targets) {
    const [kind, namespace = "", name = ""] = target.split("/");
    if (kind === "Service" || kind === "ServiceEntry") {
      for (const service of mesh.serviceByRef(kind, namespace, name)) {
        keys.add(`${service.namespace}/${service.hostname}`);
      }
    }
    // Rare, and about as many services as the namespace has.
    if (kind === "Namespace") {
      for (const waypoint of told.waypoints()) {
        for (const key of told.of(waypoint)) if (key.startsWith(`${name}/`)) keys.add(key);
      }
    }
  }
  return keys;
}
