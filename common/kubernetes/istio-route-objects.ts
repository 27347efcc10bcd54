/**
 * Istio's VirtualService and DestinationRule in the API's own JSON shape; `objects.ts` exports them
 * too. Sources: istio/api networking/v1alpha3/{virtual_service,destination_rule}.proto.
 */
import type { NetworkingVersion } from "#common/kubernetes/entry-objects.ts";
import type { IstioTrafficPolicy } from "#common/kubernetes/istio-traffic-policy.ts";
import type { Base, Condition } from "#common/kubernetes/objects.ts";

type Texts = Readonly<Record<string, string>>;

/** One of the three; none of them: it only has to be there. */
export interface IstioStringMatch {
  readonly exact?: string;
  readonly prefix?: string;
  readonly regex?: string;
}

export interface IstioPercent {
  /** 0 to 100, with a fraction. */
  readonly value?: number;
}

export interface IstioDestination {
  readonly host: string;
  readonly subset?: string;
  readonly port?: { readonly number?: number };
}

export interface IstioHeaderOperations {
  readonly set?: Texts;
  readonly add?: Texts;
  readonly remove?: readonly string[];
}

export interface IstioHeaders {
  readonly request?: IstioHeaderOperations;
  readonly response?: IstioHeaderOperations;
}

export interface IstioHttpMatch {
  readonly name?: string;
  readonly uri?: IstioStringMatch;
  readonly scheme?: IstioStringMatch;
  readonly method?: IstioStringMatch;
  readonly authority?: IstioStringMatch;
  readonly headers?: Readonly<Record<string, IstioStringMatch>>;
  readonly withoutHeaders?: Readonly<Record<string, IstioStringMatch>>;
  readonly queryParams?: Readonly<Record<string, IstioStringMatch>>;
  readonly port?: number;
  readonly sourceLabels?: Texts;
  readonly sourceNamespace?: string;
  readonly gateways?: readonly string[];
  readonly ignoreUriCase?: boolean;
  readonly statPrefix?: string;
}

export interface IstioHttpDestination {
  readonly destination: IstioDestination;
  /** Of a single destination it does not count; of several it is 0 unless given. */
  readonly weight?: number;
  readonly headers?: IstioHeaders;
}

export interface IstioRedirect {
  readonly uri?: string;
  readonly authority?: string;
  readonly port?: number;
  readonly derivePort?: "FROM_PROTOCOL_DEFAULT" | "FROM_REQUEST_PORT";
  readonly scheme?: string;
  /** 301 unless said otherwise. */
  readonly redirectCode?: number;
}

export interface IstioRewrite {
  readonly uri?: string;
  readonly authority?: string;
  readonly uriRegexRewrite?: { readonly match?: string; readonly rewrite?: string };
}

export interface IstioFault {
  readonly delay?: {
    readonly fixedDelay?: string;
    readonly exponentialDelay?: string;
    readonly percentage?: IstioPercent;
    /** Deprecated, but what people have. */
    readonly percent?: number;
  };
  readonly abort?: {
    readonly httpStatus?: number;
    readonly grpcStatus?: string;
    readonly http2Error?: string;
    readonly percentage?: IstioPercent;
    readonly percent?: number;
  };
}

export interface IstioRetries {
  /** 0: none. */
  readonly attempts?: number;
  readonly perTryTimeout?: string;
  /** Conditions and status codes, with commas between them. */
  readonly retryOn?: string;
  readonly retryRemoteLocalities?: boolean;
  readonly retryIgnorePreviousHosts?: boolean;
  readonly backoff?: string;
}

export interface IstioCors {
  /** Deprecated: exact ones, or "*". */
  readonly allowOrigin?: readonly string[];
  readonly allowOrigins?: readonly IstioStringMatch[];
  readonly allowMethods?: readonly string[];
  readonly allowHeaders?: readonly string[];
  readonly exposeHeaders?: readonly string[];
  readonly maxAge?: string;
  readonly allowCredentials?: boolean;
  readonly unmatchedPreflights?: "UNSPECIFIED" | "FORWARD" | "IGNORE";
}

export interface IstioHttpRoute {
  readonly name?: string;
  readonly match?: readonly IstioHttpMatch[];
  readonly route?: readonly IstioHttpDestination[];
  readonly redirect?: IstioRedirect;
  readonly directResponse?: {
    readonly status: number;
    readonly body?: { readonly string?: string; readonly bytes?: string };
  };
  readonly delegate?: { readonly name?: string; readonly namespace?: string };
  readonly rewrite?: IstioRewrite;
  readonly timeout?: string;
  readonly retries?: IstioRetries;
  readonly fault?: IstioFault;
  readonly mirror?: IstioDestination;
  readonly mirrors?: readonly {
    readonly destination: IstioDestination;
    readonly percentage?: IstioPercent;
  }[];
  readonly mirrorPercentage?: IstioPercent;
  /** Deprecated. */
  readonly mirrorPercent?: number;
  readonly corsPolicy?: IstioCors;
  readonly headers?: IstioHeaders;
}

export interface IstioL4Match {
  /** Of TLS routes. */
  readonly sniHosts?: readonly string[];
  readonly destinationSubnets?: readonly string[];
  readonly port?: number;
  readonly sourceLabels?: Texts;
  readonly sourceNamespace?: string;
  readonly sourceSubnet?: string;
  readonly gateways?: readonly string[];
}

export interface IstioL4Route {
  readonly match?: readonly IstioL4Match[];
  readonly route?: readonly {
    readonly destination: IstioDestination;
    readonly weight?: number;
  }[];
}

interface WithConditions {
  readonly status?: { readonly conditions?: readonly Condition[] };
}

export interface VirtualService extends Base<NetworkingVersion, "VirtualService">, WithConditions {
  readonly spec: {
    /** None: one that others delegate to. */
    readonly hosts?: readonly string[];
    /** `mesh` unless said otherwise. */
    readonly gateways?: readonly string[];
    readonly http?: readonly IstioHttpRoute[];
    readonly tls?: readonly IstioL4Route[];
    readonly tcp?: readonly IstioL4Route[];
    readonly exportTo?: readonly string[];
  };
}

export interface DestinationRule
  extends Base<NetworkingVersion, "DestinationRule">,
    WithConditions {
  readonly spec: {
    readonly host: string;
    readonly trafficPolicy?: IstioTrafficPolicy;
    readonly subsets?: readonly {
      readonly name: string;
      readonly labels?: Texts;
      readonly trafficPolicy?: IstioTrafficPolicy;
    }[];
    readonly exportTo?: readonly string[];
    readonly workloadSelector?: { readonly matchLabels?: Texts };
  };
}

export type IstioRouteObject = VirtualService | DestinationRule;
