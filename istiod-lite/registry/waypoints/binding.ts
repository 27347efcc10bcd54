/**
 * Which waypoint an object's traffic passes: what its labels and its namespace's ask for, what the
 * waypoint allows, and what happens while it is not there. Pure. Source: istio/istio
 * serviceregistry/ambient/waypoints.go and statusqueue, but for the choice between fail-open (what
 * Istio does) and fail-closed.
 */
import type { ObjectMeta } from "#common/kubernetes/objects.ts";
import type { GatewayAddress } from "#common/model/address.ts";
import { HBONE_PORT } from "#common/model/ports.ts";
import type { Service, WeightedWaypoint } from "#common/model/service.ts";
import { allows } from "./allowed-routes.ts";
import { type BoundCondition, canaryProblem, type Verdict } from "./binding-verdict.ts";
import {
  CANARY_WEIGHT,
  INGRESS_USE_WAYPOINT,
  OUR_ENFORCE,
  OUR_UNAVAILABLE,
  USE_CANARY,
  USE_CANARY_NAMESPACE,
  USE_WAYPOINT,
  USE_WAYPOINT_NAMESPACE,
} from "./names.ts";
import type { Waypoint } from "./waypoint-facts.ts";

export type Unavailable = "fail-open" | "fail-closed";

/** Whom the object is: a service of either kind, or a workload of either. */
export interface Subject {
  readonly traffic: "service" | "workload";
  readonly metadata: ObjectMeta;
}

export interface BindingContext {
  /** By `<namespace>/<name>`; undefined where there is none, or of another revision. */
  readonly waypoint: (key: string) => Waypoint | undefined;
  readonly namespace: { readonly metadata: ObjectMeta } | undefined;
  readonly clusterDomain: string;
  /** What holds where no annotation says. */
  readonly unavailable: Unavailable;
  readonly enforce: boolean;
}

export interface Binding {
  /** The waypoints that are named, whatever became of it: who changes with them. */
  readonly named: readonly string[];
  /** Those that are to know the object: they exist and allow it. */
  readonly serving: readonly string[];
  readonly waypoint?: GatewayAddress;
  readonly weighted: readonly WeightedWaypoint[];
  /** Set on a waypoint that was asked for and is not there. */
  readonly unavailable?: Unavailable;
  readonly condition?: BoundCondition;
  readonly ingressUseWaypoint: boolean;
  /** Whether the destination is to refuse what did not pass the waypoint. */
  readonly enforced: boolean;
}

export const UNBOUND: Binding = {
  named: [],
  serving: [],
  weighted: [],
  ingressUseWaypoint: false,
  enforced: false,
};

/** What a mesh Service says of its waypoint. */
export function waypointFields({
  waypoint,
  weighted,
  ingressUseWaypoint,
}: Binding): Pick<Service, "waypoint" | "weightedWaypoints" | "ingressUseWaypoint"> {
  return { ...(waypoint && { waypoint }), weightedWaypoints: weighted, ingressUseWaypoint };
}

/** A waypoint that a label names, and where that label is. */
interface Reference {
  readonly namespace: string;
  readonly name: string;
  readonly own: boolean;
}

export function bind(subject: Subject, context: BindingContext): Binding {
  const reference = primaryOf(subject, context);
  if (reference === undefined) return UNBOUND;
  const key = keyOf(reference);
  const verdict = judge(subject, reference, context);
  const base = { ...UNBOUND, named: [key], enforced: isEnforced(subject, context) };
  if (verdict.kind === "accepted") return withCanary(subject, verdict.waypoint, base, context);
  if (verdict.kind === "nothing") return { ...base, enforced: false };
  if (verdict.kind === "not-carried") {
    const message =
      `attempting to bind to traffic type "${subject.traffic}" which the waypoint "${key}" ` +
      `does not support: it is for ${verdict.carries}`;
    const condition = { status: "False", reason: "UnsupportedTrafficType", message } as const;
    return { ...base, enforced: false, condition };
  }
  const unavailable = unavailableOf(subject, context);
  const consequence =
    unavailable === "fail-closed"
      ? "connections are refused until it is (fail-closed)"
      : "connections go past it until it is (fail-open)";
  const denied = verdict.kind === "denied";
  const message = denied
    ? `not permitted to attach to waypoint "${key}": its listener's allowedRoutes excludes ` +
      `namespace ${subject.metadata.namespace}; ${consequence}`
    : `waypoint "${key}" is not ready: ${verdict.why}; ${consequence}`;
  const reason = denied ? "AttachmentDenied" : "WaypointIsNotReady";
  return {
    ...base,
    serving: !denied && verdict.waypoint !== undefined ? [key] : [],
    unavailable,
    condition: { status: "False", reason, message },
    ...(unavailable === "fail-closed" && { waypoint: closedAddress(reference, verdict, context) }),
  };
}

function judge(subject: Subject, reference: Reference, context: BindingContext): Verdict {
  const waypoint = context.waypoint(keyOf(reference));
  const { namespace = "default" } = subject.metadata;
  if (waypoint === undefined) {
    // What it would be for is not known: what its label does not stand on itself, is a service.
    if (subject.traffic === "workload" && !reference.own) {
      return { kind: "nothing" };
    }
    return { kind: "not-ready", waypoint, why: "there is no Gateway of that name" };
  }
  const { trafficType, notProgrammed } = waypoint;
  if (trafficType !== "all" && trafficType !== subject.traffic) {
    return { kind: "not-carried", carries: trafficType };
  }
  if (!allows(waypoint, namespace, context.namespace?.metadata.labels ?? {})) {
    return { kind: "denied", waypoint };
  }
  if (notProgrammed === undefined) return { kind: "accepted", waypoint };
  return { kind: "not-ready", waypoint, why: notProgrammed.message };
}

function withCanary(
  subject: Subject,
  primary: Waypoint,
  base: Binding,
  context: BindingContext,
): Binding {
  const key = keyOf(primary);
  const ingressUseWaypoint =
    subject.traffic === "service" &&
    setting("labels", INGRESS_USE_WAYPOINT, subject, context) === "true";
  const message =
    `Successfully attached to waypoint ${key}` +
    (ingressUseWaypoint ? ". Ingress traffic will traverse the waypoint" : "");
  const bound: Binding = {
    ...base,
    serving: [key],
    waypoint: primary.address,
    ingressUseWaypoint,
    condition: { status: "True", reason: "WaypointAccepted", message },
  };
  const reference = canaryOf(subject, context);
  if (reference === undefined || subject.traffic !== "service") return bound;
  const canaryKey = keyOf(reference);
  const named = [...base.named, canaryKey];
  const verdict = judge(subject, reference, context);
  const weight = canaryWeight(subject, context);
  const problem = canaryProblem(key, canaryKey, verdict, weight);
  if (problem !== undefined || verdict.kind !== "accepted" || weight === undefined) {
    const condition = { status: "False", ...problem } as BoundCondition;
    return { ...bound, named, condition };
  }
  const destination = verdict.waypoint.address;
  const shares = [
    { destination: primary.address, weight: 100 - weight },
    { destination, weight },
  ];
  const weighted = weight === 0 ? [] : shares.filter((share) => share.weight > 0);
  return { ...bound, named, serving: [key, canaryKey], weighted };
}

/** A weight that is not said is 0; undefined for one that is none. */
function canaryWeight(subject: Subject, context: BindingContext): number | undefined {
  const text = setting("annotations", CANARY_WEIGHT, subject, context) ?? "0";
  return /^\d{1,3}$/.test(text) && Number(text) <= 100 ? Number(text) : undefined;
}

function primaryOf(subject: Subject, context: BindingContext): Reference | undefined {
  return referenceBy(USE_WAYPOINT, USE_WAYPOINT_NAMESPACE, subject, context);
}

function canaryOf(subject: Subject, context: BindingContext): Reference | undefined {
  return referenceBy(USE_CANARY, USE_CANARY_NAMESPACE, subject, context);
}

/** The object's own label beats its namespace's, also where it says `none`. */
function referenceBy(
  nameLabel: string,
  namespaceLabel: string,
  subject: Subject,
  context: BindingContext,
): Reference | undefined {
  const { labels = {}, namespace = "default" } = subject.metadata;
  const inherited = context.namespace?.metadata.labels ?? {};
  const own = (labels[nameLabel] ?? "") !== "";
  const from = own ? labels : inherited;
  const name = from[nameLabel] ?? "";
  if (name === "" || name === "none") return undefined;
  return { name, namespace: from[namespaceLabel] ?? namespace, own };
}

function setting(
  field: "labels" | "annotations",
  key: string,
  subject: Subject,
  { namespace }: BindingContext,
): string | undefined {
  return subject.metadata[field]?.[key] ?? namespace?.metadata[field]?.[key];
}

/** Whatever is no word of the annotation's counts as the stricter one. */
function unavailableOf(subject: Subject, context: BindingContext): Unavailable {
  const text = setting("annotations", OUR_UNAVAILABLE, subject, context);
  if (text === undefined) return context.unavailable;
  return text === "fail-open" ? "fail-open" : "fail-closed";
}

function isEnforced(subject: Subject, context: BindingContext): boolean {
  const text = setting("annotations", OUR_ENFORCE, subject, context);
  return text === undefined ? context.enforce : text !== "false";
}

/**
 * Where traffic goes that may go nowhere: to the waypoint once it is there; but never to one that
 * does not want it, whose name is therefore one that nobody has.
 */
function closedAddress(
  reference: Reference,
  verdict: Verdict,
  { clusterDomain }: BindingContext,
): GatewayAddress {
  if (verdict.kind === "not-ready" && verdict.waypoint !== undefined) {
    return verdict.waypoint.address;
  }
  const { namespace, name } = reference;
  const why = verdict.kind === "denied" ? "attachment-denied.invalid" : `svc.${clusterDomain}`;
  const hostname = `${name}.${namespace}.${why}`;
  return { kind: "hostname", name: { namespace, hostname }, hboneMtlsPort: HBONE_PORT };
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
