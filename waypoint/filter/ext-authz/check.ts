/** What an authorizer is asked, and what may come of it, whatever protocol it speaks. */
import type { ExtAuthzProvider } from "#common/model/waypoint/policy.ts";
import type { HeaderChange } from "#common/xds/external-auth-rpc.ts";
import type { CallService } from "../service-caller.ts";
import type { PeekedBody, RequestContext } from "../stage.ts";

export interface CheckInput {
  readonly provider: ExtAuthzProvider;
  readonly context: RequestContext;
  /** Absent where the provider does not want it. */
  readonly body: PeekedBody | undefined;
  readonly call: CallService;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export type CheckOutcome =
  | {
      readonly kind: "allowed";
      readonly requestHeaders: readonly HeaderChange[];
      readonly removedHeaders: readonly string[];
      readonly responseHeaders: readonly HeaderChange[];
    }
  | {
      readonly kind: "denied";
      readonly status: number;
      readonly body: string;
      readonly headers: readonly (readonly [name: string, value: string])[];
    }
  /** It could not be asked, or what it said is no answer. */
  | { readonly kind: "error"; readonly why: string };

/** Tells the authorizer whether it sees all of the body. Source: Envoy's ext_authz filter. */
export const PARTIAL_BODY_HEADER = "x-envoy-auth-partial-body";
