/** The status of a BackendTLSPolicy: `status.ancestors`, an entry per target. */
import type {
  AncestorStatus,
  BackendTLSPolicy,
  Condition,
  ParentReference,
} from "#common/kubernetes/objects.ts";
import { POLICY_CONTROLLER, type PolicyTarget } from "#common/kubernetes/route-objects.ts";
import type { ObjectStatus } from "../registry-update.ts";
import type { Mesh } from "../waypoints/contributions.ts";
import type { CaCertificates } from "./ca-certificates.ts";
import { type ServiceReference, serviceKind } from "./reference-keys.ts";
import { list } from "./resolve-backend.ts";

/** The policy that is in force instead of this one at a part of a service. */
export type Rank = (
  service: ServiceReference,
  section: string | undefined,
) => BackendTLSPolicy | undefined;

/** Undefined for a policy that has nothing to do with services of the mesh. */
export function backendTlsStatus(
  policy: BackendTLSPolicy,
  trust: CaCertificates,
  mesh: Mesh,
  rank: Rank,
): ObjectStatus | undefined {
  const { namespace = "default", name, generation } = policy.metadata;
  const resolved = resolvedRefs(trust);
  const ancestors = policy.spec.targetRefs.flatMap((ref): AncestorStatus[] => {
    const kind = serviceKind(ref.group, ref.kind);
    if (kind === undefined) return [];
    const service = { kind, namespace, name: ref.name };
    const conditions = [accepted(ref, service, trust, mesh, rank), resolved];
    const ancestorRef: ParentReference = ref;
    return [{ ancestorRef, controllerName: POLICY_CONTROLLER, conditions }];
  });
  if (ancestors.length === 0) return undefined;
  return {
    kind: "BackendTLSPolicy",
    namespace,
    name,
    generation,
    conditions: [],
    warnings: [],
    fields: { ancestors },
  };
}

function resolvedRefs({ problem }: CaCertificates): Condition {
  const type = "ResolvedRefs";
  if (problem !== undefined) return { type, status: "False", ...problem };
  return { type, status: "True", reason: type, message: "all certificates were found" };
}

function accepted(
  { sectionName }: PolicyTarget,
  service: ServiceReference,
  { useless }: CaCertificates,
  mesh: Mesh,
  rank: Rank,
): Condition {
  const refuse = (reason: string, message: string): Condition => {
    return { type: "Accepted", status: "False", reason, message };
  };
  const { kind, namespace, name } = service;
  const [facts] = mesh.serviceByRef(kind, namespace, name);
  if (facts === undefined) {
    return refuse("TargetNotFound", `there is no ${kind} ${namespace}/${name} in the mesh`);
  }
  if (sectionName !== undefined && !facts.ports.some((port) => port.name === sectionName)) {
    const message = `${kind} ${namespace}/${name} has no port named ${sectionName}`;
    return refuse("TargetNotFound", `${message}, it has ${list(facts)}`);
  }
  const winner = rank(service, sectionName);
  if (winner !== undefined) {
    return refuse("Conflicted", `${winner.metadata.name} is in force: it is older`);
  }
  if (useless !== undefined) {
    return refuse(
      useless.reason,
      `every connection fails, for nobody is trusted. ${useless.message}`,
    );
  }
  const message = "in force for connections of waypoints";
  return { type: "Accepted", status: "True", reason: "Accepted", message };
}
