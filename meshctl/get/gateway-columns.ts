/** What `meshctl get` shows of Gateways and GatewayClasses: the columns of their CRDs. */
import type { Condition, Gateway, GatewayClass } from "#common/kubernetes/objects.ts";

interface Columns {
  readonly header: readonly string[];
  readonly cells: readonly string[];
}

const UNKNOWN = "Unknown";

export function gatewayColumns({ spec, status }: Gateway): Columns {
  const addresses = status?.addresses?.map(({ value = "" }) => value) ?? [];
  return {
    header: ["CLASS", "ADDRESS", "PROGRAMMED"],
    cells: [
      spec.gatewayClassName,
      addresses.join(",") || "-",
      conditionStatus(status?.conditions, "Programmed"),
    ],
  };
}

export function gatewayClassColumns({ spec, status }: GatewayClass): Columns {
  return {
    header: ["CONTROLLER", "ACCEPTED"],
    cells: [spec.controllerName, conditionStatus(status?.conditions, "Accepted")],
  };
}

function conditionStatus(conditions: readonly Condition[] | undefined, type: string): string {
  return conditions?.find((condition) => condition.type === type)?.status ?? UNKNOWN;
}
