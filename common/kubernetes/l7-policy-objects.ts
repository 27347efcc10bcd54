/**
 * Policies that waypoints enforce, in the API's own JSON shape; `objects.ts` exports them too.
 * Sources: istio/api security/v1beta1/request_authentication.proto and jwt.proto,
 * telemetry/v1alpha1/telemetry.proto. RateLimitPolicy is ours (docs/l7-policies.md).
 */
import type { Base, Condition, LabelSelector } from "#common/kubernetes/objects.ts";
import type { PolicyTargetRef } from "#common/kubernetes/policy-objects.ts";

export interface JwtHeader {
  readonly name: string;
  readonly prefix?: string;
}

export interface JWTRule {
  readonly issuer: string;
  readonly audiences?: readonly string[];
  readonly jwksUri?: string;
  readonly jwks?: string;
  readonly fromHeaders?: readonly JwtHeader[];
  readonly fromParams?: readonly string[];
  readonly fromCookies?: readonly string[];
  readonly outputPayloadToHeader?: string;
  readonly outputClaimToHeaders?: readonly { readonly header: string; readonly claim: string }[];
  readonly forwardOriginalToken?: boolean;
  /** Istio's duration: "5s". */
  readonly timeout?: string;
  /** OPTIONAL unless said otherwise. */
  readonly presence?: "OPTIONAL" | "REQUIRED";
}

interface Targeted {
  readonly selector?: LabelSelector;
  readonly targetRef?: PolicyTargetRef;
  readonly targetRefs?: readonly PolicyTargetRef[];
}

interface WithConditions {
  readonly status?: { readonly conditions?: readonly Condition[] };
}

export interface RequestAuthentication
  extends Base<"security.istio.io/v1" | "security.istio.io/v1beta1", "RequestAuthentication">,
    WithConditions {
  readonly spec?: Targeted & { readonly jwtRules?: readonly JWTRule[] };
}

export interface TelemetryProvider {
  readonly name: string;
}

export interface TelemetryTag {
  readonly literal?: { readonly value: string };
  readonly header?: { readonly name: string; readonly defaultValue?: string };
  readonly environment?: { readonly name: string; readonly defaultValue?: string };
}

export interface MetricsOverride {
  readonly match?: { readonly metric?: string; readonly mode?: string };
  readonly disabled?: boolean;
  readonly tagOverrides?: Readonly<
    Record<string, { readonly operation?: "UPSERT" | "REMOVE"; readonly value?: string }>
  >;
}

export interface Telemetry
  extends Base<"telemetry.istio.io/v1" | "telemetry.istio.io/v1alpha1", "Telemetry">,
    WithConditions {
  readonly spec?: Targeted & {
    readonly accessLogging?: readonly {
      readonly providers?: readonly TelemetryProvider[];
      readonly disabled?: boolean;
      readonly filter?: { readonly expression?: string };
    }[];
    readonly metrics?: readonly {
      readonly providers?: readonly TelemetryProvider[];
      readonly overrides?: readonly MetricsOverride[];
    }[];
    readonly tracing?: readonly {
      readonly providers?: readonly TelemetryProvider[];
      readonly randomSamplingPercentage?: number;
      readonly disableSpanReporting?: boolean;
      readonly customTags?: Readonly<Record<string, TelemetryTag>>;
    }[];
  };
}

/** What requests are counted apart by. */
export interface RateLimitKey {
  readonly type: "Identity" | "Header" | "Claim" | "SourceIP" | "Path" | "Method" | "Constant";
  /** Of the header or claim; the value of a constant. */
  readonly name?: string;
}

export interface RateLimitRule {
  readonly matches?: readonly {
    readonly pathPrefix?: string;
    readonly methods?: readonly string[];
    readonly headers?: readonly { readonly name: string; readonly value: string }[];
  }[];
  /** Empty: all requests share one bucket. */
  readonly keys?: readonly RateLimitKey[];
  readonly local?: {
    readonly requests: number;
    /** Gateway API's duration. */
    readonly per: string;
    /** `requests` unless said otherwise. */
    readonly burst?: number;
  };
  readonly global?: {
    readonly service: { readonly name: string; readonly namespace?: string; readonly port: number };
    readonly domain: string;
    readonly timeout?: string;
    readonly failureMode?: "Allow" | "Deny";
  };
}

export interface RateLimitPolicy
  extends Base<"ambientmesh.dev/v1alpha1", "RateLimitPolicy">,
    WithConditions {
  readonly spec: {
    readonly targetRefs: readonly PolicyTargetRef[];
    readonly limits: readonly RateLimitRule[];
  };
}

export type L7PolicyObject = RequestAuthentication | Telemetry | RateLimitPolicy;
