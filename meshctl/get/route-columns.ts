/** What `meshctl get` shows of routes and of policies that are attached to services. */
import type {
  BackendTLSPolicy,
  Condition,
  GatewayRoute,
  ParentReference,
} from "#common/kubernetes/objects.ts";

interface Columns {
  readonly header: readonly string[];
  readonly cells: readonly string[];
}

interface Attached {
  readonly conditions?: readonly Condition[];
}

const NONE = "-";

export function routeColumns({ spec, status }: GatewayRoute): Columns {
  const parents = (spec.parentRefs ?? []).map(describeParent);
  return {
    header: ["PARENTS", "ACCEPTED", "RESOLVEDREFS"],
    cells: [parents.join(",") || NONE, ...outcomes(status?.parents)],
  };
}

export function backendTlsPolicyColumns({ spec, status }: BackendTLSPolicy): Columns {
  const targets = spec.targetRefs.map(describeParent);
  return {
    header: ["TARGETS", "ACCEPTED", "RESOLVEDREFS"],
    cells: [targets.join(","), ...outcomes(status?.ancestors)],
  };
}

function describeParent(
  ref: Pick<ParentReference, "kind" | "namespace" | "name" | "port">,
): string {
  const { kind = "Gateway", namespace, name, port } = ref;
  const place = namespace === undefined ? name : `${namespace}/${name}`;
  return `${kind}/${place}${port === undefined ? "" : `:${port}`}`;
}

/** Of both conditions: what is wrong at any of the parents, else whether all is well. */
function outcomes(attached: readonly Attached[] = []): readonly string[] {
  return ["Accepted", "ResolvedRefs"].map((type) => {
    const found = attached.flatMap(({ conditions = [] }) =>
      conditions.filter((condition) => condition.type === type),
    );
    const bad = found.find(({ status }) => status === "False");
    if (bad !== undefined) return `no: ${bad.reason ?? type}`;
    return found.length === 0 ? NONE : "yes";
  });
}
