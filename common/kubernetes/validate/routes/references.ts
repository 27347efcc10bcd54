/**
 * What all routes share: references to parents and backends, names of rules, statuses. Source: the
 * CRDs of sigs.k8s.io/gateway-api and their CEL rules.
 */
import type {
  BackendObjectReference,
  ParentReference,
  RouteBackendRef,
} from "#common/kubernetes/route-objects.ts";
import { conditions } from "#common/kubernetes/validate/metadata.ts";
import {
  group,
  kind,
  name,
  namespaceName,
  sectionName,
} from "#common/kubernetes/validate/routes/texts.ts";
import {
  anything,
  integer,
  list,
  object,
  oneOf,
  port,
  type Report,
  type Schema,
  strictObject,
  text,
} from "#common/kubernetes/validate/schema.ts";

const MAX_PARENTS = 32;
/** Of the filters and the backends of one rule, and of the rules of a route. */
export const MAX_ITEMS = 16;
const MAX_WEIGHT = 1_000_000;

const REFERENCE_FIELDS = { group, kind, name, namespace: namespaceName, port };

/** Fields of the spec that every route has. */
export const PARENT_FIELDS = {
  parentRefs: list<ParentReference>(
    strictObject({ ...REFERENCE_FIELDS, sectionName }, { required: ["name"] }),
    { max: MAX_PARENTS },
  ),
  useDefaultGateways: oneOf("All", "None"),
} as const;

export const routeStatus: Schema = object({
  parents: list(
    object(
      { parentRef: anything, controllerName: text(), conditions },
      { required: ["parentRef", "controllerName"] },
    ),
  ),
});

/** Of a filter: where requests are mirrored to. */
export const backendReference: Schema = strictObject<BackendObjectReference>(REFERENCE_FIELDS, {
  required: ["name"],
  check: checkBackend,
});

/** Of a rule; `filters` only where its kind has them. */
export function backendRef(filters?: Schema): Schema {
  const fields = { ...REFERENCE_FIELDS, weight: integer(0, MAX_WEIGHT) };
  return strictObject<RouteBackendRef>(filters === undefined ? fields : { ...fields, filters }, {
    required: ["name"],
    check: checkBackend,
  });
}

function checkBackend(ref: BackendObjectReference, report: Report): void {
  const isService = (ref.group ?? "") === "" && (ref.kind ?? "Service") === "Service";
  if (isService && ref.port === undefined) {
    report("error", ["port"], "is required for a Service", "write the service's port number");
  }
  const isBackend = ref.group === "gateway.networking.x-k8s.io" && ref.kind === "XBackend";
  if (isBackend && ref.port !== undefined) {
    report("error", ["port"], "does not belong to an XBackend", "remove it");
  }
}

/** References to the same parent have to name different sections or ports of it, all of them. */
export function checkParents(refs: readonly ParentReference[] = [], report: Report): void {
  const first = new Map<string, number>();
  const sections = new Map<string, number>();
  refs.forEach((ref, index) => {
    const parent = [ref.group, ref.kind, ref.namespace ?? "", ref.name].join("/");
    const section = [parent, ref.sectionName ?? "", ref.port ?? ""].join("/");
    const same = sections.get(section);
    const path = ["parentRefs", index];
    const other = first.get(parent);
    if (same !== undefined) {
      const hint = "give each a sectionName or port of its own, or remove one";
      report("error", path, `is the same as item ${same}`, hint);
    } else if (other !== undefined && !alike(ref, refs[other])) {
      const message = `and item ${other} are the same parent, and not both say which part of it`;
      report("error", path, message, "give both a sectionName, or both a port");
    }
    sections.set(section, index);
    if (other === undefined) first.set(parent, index);
  });
}

function alike(a: ParentReference, b: ParentReference | undefined): boolean {
  const sameSection = (a.sectionName === undefined) === (b?.sectionName === undefined);
  return sameSection && (a.port === undefined) === (b?.port === undefined);
}

/** Two rules of one name are an error. */
export function uniqueRule(rule: { readonly name?: string }): string | undefined {
  return rule.name === undefined ? undefined : `name ${rule.name}`;
}
