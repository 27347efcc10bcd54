/**
 * Everybody who contributes to what waypoints are told. The order counts where several know an
 * answer: the first of them wins.
 */
import type { BackendContributor, PolicyContributor, RouteContributor } from "./contributions.ts";

export interface Contributors {
  readonly routes: readonly RouteContributor[];
  readonly backends: readonly BackendContributor[];
  /** Absent: no policies, and Telemetry's defaults. */
  readonly policies: PolicyContributor | undefined;
}

export const NO_CONTRIBUTORS: Contributors = { routes: [], backends: [], policies: undefined };
