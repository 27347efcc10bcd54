/**
 * Which enrolled pods no HBONE reaches, or can leave, because of NetworkPolicies. Pure. A rule that
 * admits somebody counts as one that admits: who that is cannot be known from one side.
 */
import type { Pod } from "#common/kubernetes/objects.ts";
import { HBONE_PORT } from "#common/model/ports.ts";
import { podName } from "./enrolment.ts";

interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

interface PolicyPort {
  readonly protocol?: string;
  readonly port?: number | string;
  readonly endPort?: number;
}

interface PolicyRule {
  readonly ports?: readonly PolicyPort[];
}

/** As much of a networking.k8s.io/v1 NetworkPolicy as is looked at. */
export interface NetworkPolicy {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: {
    readonly podSelector?: {
      readonly matchLabels?: Readonly<Record<string, string>>;
      readonly matchExpressions?: readonly Requirement[];
    };
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly PolicyRule[];
    readonly egress?: readonly PolicyRule[];
  };
}

type Direction = "ingress" | "egress";

/** A line for every pod and direction that is closed to HBONE, with the policies that close it. */
export function blockedPods(
  pods: readonly Pod[],
  policies: readonly NetworkPolicy[],
): readonly string[] {
  return pods.flatMap((pod) => {
    const own = policies.filter((policy) => selects(policy, pod));
    return (["ingress", "egress"] as const).flatMap((direction) => {
      const closing = own.filter((policy) => isolates(policy, direction));
      const admits = closing.some(({ spec }) => spec[direction]?.some(admitsHbone) ?? false);
      if (closing.length === 0 || admits) return [];
      const names = closing.map(({ metadata }) => metadata.name).join(", ");
      const way = direction === "ingress" ? "into" : "out of";
      return [`no TCP ${HBONE_PORT} ${way} ${podName(pod)}: NetworkPolicy ${names}`];
    });
  });
}

function selects({ metadata, spec }: NetworkPolicy, pod: Pod): boolean {
  if (metadata.namespace !== pod.metadata.namespace) return false;
  const { matchLabels = {}, matchExpressions = [] } = spec.podSelector ?? {};
  const labels = pod.metadata.labels ?? {};
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every((requirement) => meets(labels, requirement))
  );
}

function meets(
  labels: Readonly<Record<string, string>>,
  { key, operator, values = [] }: Requirement,
): boolean {
  const value = labels[key];
  if (operator === "Exists") return value !== undefined;
  if (operator === "DoesNotExist") return value === undefined;
  const isIn = value !== undefined && values.includes(value);
  return operator === "In" ? isIn : !isIn;
}

/** Source: NetworkPolicySpec; without types, Ingress, and Egress where there are rules for it. */
function isolates({ spec }: NetworkPolicy, direction: Direction): boolean {
  const { policyTypes = ["Ingress", ...(spec.egress === undefined ? [] : ["Egress"])] } = spec;
  return policyTypes.includes(direction === "ingress" ? "Ingress" : "Egress");
}

function admitsHbone({ ports = [] }: PolicyRule): boolean {
  if (ports.length === 0) return true;
  return ports.some(({ protocol = "TCP", port, endPort }) => {
    if (protocol !== "TCP") return false;
    if (port === undefined) return true;
    // A name is of a container's port, and no container has this one.
    if (typeof port === "string") return false;
    return port <= HBONE_PORT && HBONE_PORT <= (endPort ?? port);
  });
}
