/** Whether what is installed does what it should. Pure, over objects as the API server has them. */

import type { Gateway, KubernetesObject, Namespace } from "#common/kubernetes/objects.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";
import { reasonOf, rolloutState } from "#meshctl/install/rollouts.ts";
import { bareWebhooks } from "#meshctl/install/webhooks.ts";
import { isWaypoint, programmedOf } from "#meshctl/waypoint-gateway.ts";
import { failed, type Outcome, ok, unlessAny } from "./outcome.ts";

const USE_WAYPOINT = "istio.io/use-waypoint";
const USE_WAYPOINT_NAMESPACE = "istio.io/use-waypoint-namespace";

/** Deployments and DaemonSets of the installation, and the pods beside them. */
export function rollouts(programs: readonly JsonObject[], pods: readonly JsonObject[]): Outcome {
  const late = programs.flatMap((program) => {
    const { done, progress } = rolloutState(program);
    const name = isJsonObject(program.metadata) ? String(program.metadata.name) : "";
    return done ? [] : [`${name}: ${progress}`];
  });
  if (late.length > 0) return failed(...late, ...pods.flatMap(reasonOf));
  return ok(programs.map((program) => rolloutState(program).progress).join(", "));
}

/** Of a ValidatingWebhookConfiguration of the installation; undefined where there is none. */
export function webhook(configuration: JsonObject | undefined, endpoints: number): Outcome {
  if (configuration === undefined) return failed("it is not there: nothing checks what is applied");
  const bare = bareWebhooks(configuration);
  return unlessAny("failed", [
    ...bare.map((name) => `${name} has no caBundle: the API server trusts nobody`),
    ...(endpoints === 0 ? ["no istiod is ready to answer"] : []),
  ]);
}

/** Waypoints that are not programmed, and labels that name one which is not there. */
export function waypoints(
  gateways: readonly Gateway[],
  users: readonly (Namespace | KubernetesObject)[],
): Outcome {
  const all = gateways.filter(isWaypoint);
  const names = new Set(all.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`));
  const idle = all.flatMap((gateway) => {
    const condition = programmedOf(gateway);
    if (condition?.status === "True") return [];
    const { name, namespace } = gateway.metadata;
    return [`${namespace}/${name} is not programmed: ${condition?.message ?? "nothing is said"}`];
  });
  const dangling = users.flatMap(({ kind, metadata }) => {
    const waypoint = metadata.labels?.[USE_WAYPOINT];
    if (waypoint === undefined || waypoint === "" || waypoint === "none") return [];
    const own = kind === "Namespace" ? metadata.name : metadata.namespace;
    const place = metadata.labels?.[USE_WAYPOINT_NAMESPACE] ?? own;
    if (names.has(`${place}/${waypoint}`)) return [];
    const user = kind === "Namespace" ? metadata.name : `${own}/${metadata.name}`;
    return [`${kind} ${user} uses waypoint ${place}/${waypoint}, which is not there`];
  });
  return unlessAny("failed", [...idle, ...dangling], `${all.length} programmed`);
}

const DAY_MS = 86_400_000;
/** A root that ends sooner has to be replaced now, while every workload can still be given both. */
const ROOT_DAYS_MIN = 30;

/** By when certificates end, milliseconds since 1970. */
export function rootCertificates(endsMs: readonly number[], nowMs: number): Outcome {
  const [first] = endsMs.toSorted((a, b) => a - b);
  if (first === undefined) return failed("istio-ca-root-cert holds no certificate");
  const days = Math.floor((first - nowMs) / DAY_MS);
  if (days < 0) return failed(`a root ended ${-days} days ago`);
  return days < ROOT_DAYS_MIN
    ? { status: "warning", details: [`a root ends in ${days} days`] }
    : ok(`${days} days left`);
}

/** Of a ztunnel's config dump. */
export function workloadCertificates(
  certificates: readonly JsonObject[],
  nowMs: number,
): readonly string[] {
  return certificates.flatMap(({ identity, state, certChain }) => {
    const who = String(identity);
    if (state !== undefined && state !== "Available") return [`${who}: ${String(state)}`];
    const [leaf] = Array.isArray(certChain) ? certChain.filter(isJsonObject) : [];
    if (leaf === undefined) return [`${who} has no certificate`];
    const ends = Date.parse(String(leaf.expirationTime));
    return ends < nowMs ? [`${who}: its certificate ended ${String(leaf.expirationTime)}`] : [];
  });
}
