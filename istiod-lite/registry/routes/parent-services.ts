/** The services of references, as those who tell waypoints name them. */
import type { Affected, Mesh } from "../waypoints/contributions.ts";
import type { ServiceKind } from "./reference-keys.ts";

/** `<namespace>/<hostname>` of those of the references (`Service/shop/web`) that are there. */
export function servicesOf(references: ReadonlySet<string>, mesh: Mesh): Affected {
  const services = new Set<string>();
  for (const reference of references) {
    const [kind, namespace = "", name = ""] = reference.split("/");
    // Such keys begin with one of the two kinds.
    for (const service of mesh.serviceByRef(kind as ServiceKind, namespace, name)) {
      services.add(`${service.namespace}/${service.hostname}`);
    }
  }
  return services.size === 0 ? "none" : services;
}
