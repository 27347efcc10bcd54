/** Which references across namespaces are permitted: the ReferenceGrants that there are. */
import { GATEWAY_GROUP, type ReferenceGrant } from "#common/kubernetes/route-objects.ts";
import { groupOf, type ServiceReference } from "./reference-keys.ts";

export class Grants {
  /** By namespace, which is that of what may be referred to, and name. */
  readonly #grants = new Map<string, Map<string, ReferenceGrant>>();

  set(namespace: string, name: string, grant: ReferenceGrant | undefined): void {
    const grants = this.#grants.get(namespace) ?? new Map<string, ReferenceGrant>();
    if (grant === undefined) grants.delete(name);
    else grants.set(name, grant);
    if (grants.size === 0) this.#grants.delete(namespace);
    else this.#grants.set(namespace, grants);
  }

  get(namespace: string, name: string): ReferenceGrant | undefined {
    return this.#grants.get(namespace)?.get(name);
  }

  /** Whether a route of this kind and namespace may refer to it. */
  permits(kind: string, namespace: string, to: ServiceReference): boolean {
    for (const { spec } of this.#grants.get(to.namespace)?.values() ?? []) {
      const isFrom = spec.from.some(
        (from) =>
          from.group === GATEWAY_GROUP && from.kind === kind && from.namespace === namespace,
      );
      if (!isFrom) continue;
      const isTo = spec.to.some(
        ({ group, kind: toKind, name }) =>
          group === groupOf(to.kind) && toKind === to.kind && (name ?? to.name) === to.name,
      );
      if (isTo) return true;
    }
    return false;
  }
}
