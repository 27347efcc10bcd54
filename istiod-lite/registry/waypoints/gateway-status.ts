/**
 * What the status of a Gateway and a GatewayClass says, in Gateway API's words. Sources: the
 * specification of GatewayStatus, and Istio's controller for classes of waypoints.
 */
import type { Gateway, GatewayClass } from "#common/kubernetes/objects.ts";
import type { NewCondition } from "#istiod-lite/config/source.ts";
import type { ObjectStatus } from "../registry-update.ts";
import type { Waypoint } from "./waypoint-facts.ts";

type Listener = Gateway["spec"]["listeners"][number];

/** Of a Gateway that this control plane runs. */
export function gatewayStatus(gateway: Gateway, waypoint: Waypoint): ObjectStatus {
  const { namespace, name, notProgrammed } = waypoint;
  const { generation } = gateway.metadata;
  const { listeners } = gateway.spec;
  const refused = listeners.filter(({ protocol }) => protocol !== "HBONE");
  const accepted =
    refused.length === 0
      ? condition("Accepted", true, "Accepted", "Resource accepted")
      : condition(
          "Accepted",
          true,
          "ListenersNotValid",
          `${refused.map((listener) => listener.name).join(", ")}: a waypoint speaks HBONE only`,
        );
  const host = waypoint.address.kind === "hostname" ? waypoint.address.name.hostname : "";
  const programmed =
    notProgrammed === undefined
      ? condition("Programmed", true, "Programmed", `Resource programmed, served by ${host}:15008`)
      : condition("Programmed", false, notProgrammed.reason, notProgrammed.message);
  const addresses = notProgrammed === undefined ? [{ type: "Hostname", value: host }] : [];
  return {
    kind: "Gateway",
    namespace,
    name,
    generation,
    conditions: [accepted, programmed],
    warnings: [],
    fields: {
      addresses,
      listeners: listeners.map((listener) => listenerStatus(listener, programmed)),
    },
  };
}

/** Of a GatewayClass whose controller this is. */
export function gatewayClassStatus(gatewayClass: GatewayClass): ObjectStatus {
  const { name, generation } = gatewayClass.metadata;
  const message = "Handled by this control plane";
  return {
    kind: "GatewayClass",
    namespace: "",
    name,
    generation,
    conditions: [condition("Accepted", true, "Accepted", message)],
    warnings: [],
  };
}

/** Routes attach to services, never to a waypoint's listener: it has none, and takes no kind. */
function listenerStatus({ name, protocol }: Listener, programmed: NewCondition) {
  const known = protocol === "HBONE";
  const unknown = `protocol ${protocol} is not one of a waypoint`;
  return {
    name,
    attachedRoutes: 0,
    supportedKinds: [],
    conditions: [
      known
        ? condition("Accepted", true, "Accepted", "No errors found")
        : condition("Accepted", false, "UnsupportedProtocol", unknown),
      known
        ? {
            ...programmed,
            message: programmed.status === "True" ? "No errors found" : (programmed.message ?? ""),
          }
        : condition("Programmed", false, "Invalid", unknown),
      condition("ResolvedRefs", true, "ResolvedRefs", "No errors found"),
      condition("Conflicted", false, "NoConflicts", "No errors found"),
    ],
  };
}

function condition(type: string, holds: boolean, reason: string, message: string): NewCondition {
  return { type, status: holds ? "True" : "False", reason, message };
}

/** What people set for it cannot be: nothing is changed until it can. */
export function withParameterProblem(status: ObjectStatus, problem: string): ObjectStatus {
  const others = status.conditions.filter(({ type }) => type !== "Accepted");
  const refused = condition("Accepted", false, "InvalidParameters", problem);
  return { ...status, conditions: [refused, ...others] };
}
