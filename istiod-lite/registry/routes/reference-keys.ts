/** Names for what routes refer to: a Service, a ServiceEntry, a host by its name. */
import {
  type BackendObjectReference,
  GATEWAY_GROUP,
  type GatewayRoute,
  type ParentReference,
} from "#common/kubernetes/route-objects.ts";

const NETWORKING_GROUP = "networking.istio.io";

export type ServiceKind = "Service" | "ServiceEntry";

/** `<kind>/<namespace>/<name>`, of the core group or Istio's. */
export interface ServiceReference {
  readonly kind: ServiceKind;
  readonly namespace: string;
  readonly name: string;
}

export function referenceKey({ kind, namespace, name }: ServiceReference): string {
  return `${kind}/${namespace}/${name}`;
}

/** What depends on whoever has this host name. */
export function hostKey(hostname: string): string {
  return `host/${hostname}`;
}

/** Undefined for parents of other kinds: they are other controllers' business. */
export function parentOf(ref: ParentReference, namespace: string): ServiceReference | undefined {
  const kind = serviceKind(ref.group ?? GATEWAY_GROUP, ref.kind ?? "Gateway");
  if (kind === undefined) return undefined;
  return { kind, namespace: ref.namespace ?? namespace, name: ref.name };
}

/** `host` for a reference by host name (Istio's kind Hostname); undefined for unknown kinds. */
export function backendTarget(
  ref: BackendObjectReference,
  namespace: string,
): ServiceReference | { readonly host: string } | undefined {
  const { group = "", kind = "Service", name } = ref;
  if (group === NETWORKING_GROUP && kind === "Hostname") return { host: name };
  const known = serviceKind(group, kind);
  if (known === undefined) return undefined;
  return { kind: known, namespace: ref.namespace ?? namespace, name };
}

/** Istio takes `core` for the core group too. */
export function serviceKind(group: string, kind: string): ServiceKind | undefined {
  if (kind === "Service" && (group === "" || group === "core")) return kind;
  return kind === "ServiceEntry" && group === NETWORKING_GROUP ? kind : undefined;
}

export function groupOf(kind: ServiceKind): string {
  return kind === "Service" ? "" : NETWORKING_GROUP;
}

/** Everything that the backends and mirrors of a route name. */
export function backendReferences(route: GatewayRoute): readonly BackendObjectReference[] {
  const references: BackendObjectReference[] = [];
  for (const rule of route.spec.rules ?? []) {
    references.push(...(rule.backendRefs ?? []));
    for (const { requestMirror } of "filters" in rule ? (rule.filters ?? []) : []) {
      if (requestMirror !== undefined) references.push(requestMirror.backendRef);
    }
  }
  return references;
}
