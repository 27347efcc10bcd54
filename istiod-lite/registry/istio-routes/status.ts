/** The condition in which a VirtualService or DestinationRule is told what became of it. */
import type { IstioRouteObject } from "#common/kubernetes/istio-route-objects.ts";
import type { Condition } from "#common/kubernetes/objects.ts";
import type { ObjectStatus } from "../registry-update.ts";
import { REMARKS_TOLD } from "./limits.ts";

/**
 * Ours: Istio has no condition that says it (its `Reconciled` says that proxies have a
 * configuration, not that they follow it).
 */
export const ACCEPTED = "ambientmesh.dev/Accepted";

export interface Outcome {
  /** Undefined where it is for nothing at all. */
  readonly inForce: string | undefined;
  readonly remarks: readonly string[];
}

/**
 * `Accepted`: all of it is in force. `PartlyInForce`: True still, and the message says what is not.
 * `NotInForce`: none of it.
 */
export function istioStatus(object: IstioRouteObject, outcome: Outcome): ObjectStatus {
  const { namespace = "default", name, generation } = object.metadata;
  const condition = conditionOf(outcome, generation);
  return {
    kind: object.kind,
    ...{ namespace, name, generation },
    conditions: [condition],
    warnings: [],
  };
}

function conditionOf({ inForce, remarks }: Outcome, generation: number | undefined): Condition {
  const told = remarks.slice(0, REMARKS_TOLD);
  const untold = remarks.length - told.length;
  const parts = [
    ...(inForce === undefined ? [] : [inForce]),
    ...told,
    ...(untold > 0 ? [`and ${untold} more`] : []),
  ];
  const full = remarks.length === 0 ? "Accepted" : "PartlyInForce";
  return {
    type: ACCEPTED,
    status: inForce === undefined ? "False" : "True",
    reason: inForce === undefined ? "NotInForce" : full,
    message: parts.join(". "),
    ...(generation !== undefined && { observedGeneration: generation }),
  };
}

/** What was said of each object last, so that it is said once. */
export class SaidStatuses {
  readonly #said = new Map<string, string>();

  /** None where it is what was said before. */
  news(key: string, status: ObjectStatus): readonly ObjectStatus[] {
    const content = JSON.stringify(status);
    if (this.#said.get(key) === content) return [];
    this.#said.set(key, content);
    return [status];
  }

  forget(key: string): void {
    this.#said.delete(key);
  }
}
