/**
 * Gateway API's routes and what belongs to them, in the API's own JSON shape; `objects.ts` exports
 * them too. Source: sigs.k8s.io/gateway-api apis/v1, experimental channel, up to 1.7.
 */
import type { Base, Condition } from "#common/kubernetes/objects.ts";

export const GATEWAY_GROUP = "gateway.networking.k8s.io";

/** Who routes are attached to: a Service, a ServiceEntry, a Gateway. */
export interface ParentReference {
  /** `gateway.networking.k8s.io` unless said otherwise; "" and `core` are Service's. */
  readonly group?: string;
  /** Gateway unless said otherwise. */
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  /** Of a Service: the name of a port. */
  readonly sectionName?: string;
  readonly port?: number;
}

export interface BackendObjectReference {
  /** "" unless said otherwise. */
  readonly group?: string;
  /** Service unless said otherwise. */
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly port?: number;
}

export interface RouteBackendRef extends BackendObjectReference {
  /** 1 unless said otherwise. */
  readonly weight?: number;
  /** Of HTTPRoutes and GRPCRoutes. */
  readonly filters?: readonly RouteFilter[];
}

export interface HeaderValue {
  readonly name: string;
  readonly value: string;
}

export interface HeaderFilter {
  readonly set?: readonly HeaderValue[];
  readonly add?: readonly HeaderValue[];
  readonly remove?: readonly string[];
}

export interface PathModifier {
  readonly type: "ReplaceFullPath" | "ReplacePrefixMatch";
  readonly replaceFullPath?: string;
  readonly replacePrefixMatch?: string;
}

export interface RedirectFilter {
  readonly scheme?: "http" | "https";
  readonly hostname?: string;
  readonly path?: PathModifier;
  readonly port?: number;
  /** 302 unless said otherwise. */
  readonly statusCode?: number;
}

export interface MirrorFilter {
  readonly backendRef: BackendObjectReference;
  readonly percent?: number;
  readonly fraction?: { readonly numerator: number; readonly denominator?: number };
}

export interface CorsFilter {
  readonly allowOrigins?: readonly string[];
  readonly allowMethods?: readonly string[];
  readonly allowHeaders?: readonly string[];
  readonly exposeHeaders?: readonly string[];
  readonly allowCredentials?: boolean;
  /** Seconds; 5 unless said otherwise. */
  readonly maxAge?: number;
}

export type RouteFilterType =
  | "RequestHeaderModifier"
  | "ResponseHeaderModifier"
  | "RequestMirror"
  | "RequestRedirect"
  | "URLRewrite"
  | "ExtensionRef"
  | "CORS"
  | "ExternalAuth";

/** Of an HTTPRoute or GRPCRoute: the field that belongs to `type`, and no other. */
export interface RouteFilter {
  readonly type: RouteFilterType;
  readonly requestHeaderModifier?: HeaderFilter;
  readonly responseHeaderModifier?: HeaderFilter;
  readonly requestMirror?: MirrorFilter;
  readonly requestRedirect?: RedirectFilter;
  readonly urlRewrite?: { readonly hostname?: string; readonly path?: PathModifier };
  readonly cors?: CorsFilter;
  readonly extensionRef?: { readonly group: string; readonly kind: string; readonly name: string };
  readonly externalAuth?: { readonly protocol: string };
}

/** Of a header or query parameter. */
export interface ValueMatch {
  /** Exact unless said otherwise. */
  readonly type?: "Exact" | "RegularExpression";
  readonly name: string;
  readonly value: string;
}

export interface HttpRouteMatch {
  /** The prefix "/" unless said otherwise. */
  readonly path?: {
    readonly type?: "Exact" | "PathPrefix" | "RegularExpression";
    readonly value?: string;
  };
  readonly headers?: readonly ValueMatch[];
  readonly queryParams?: readonly ValueMatch[];
  readonly method?: string;
}

export interface HttpRouteRule {
  readonly name?: string;
  readonly matches?: readonly HttpRouteMatch[];
  readonly filters?: readonly RouteFilter[];
  readonly backendRefs?: readonly RouteBackendRef[];
  readonly timeouts?: { readonly request?: string; readonly backendRequest?: string };
  readonly retry?: {
    readonly codes?: readonly number[];
    readonly attempts?: number;
    readonly backoff?: string;
  };
  readonly sessionPersistence?: object;
}

export interface GrpcRouteMatch {
  readonly method?: {
    readonly type?: "Exact" | "RegularExpression";
    readonly service?: string;
    readonly method?: string;
  };
  readonly headers?: readonly ValueMatch[];
}

export interface GrpcRouteRule {
  readonly name?: string;
  readonly matches?: readonly GrpcRouteMatch[];
  readonly filters?: readonly RouteFilter[];
  readonly backendRefs?: readonly RouteBackendRef[];
  readonly sessionPersistence?: object;
}

export interface L4RouteRule {
  readonly name?: string;
  readonly backendRefs: readonly RouteBackendRef[];
}

/** What one controller says of an attachment. */
export interface ParentStatus {
  readonly parentRef: ParentReference;
  readonly controllerName: string;
  readonly conditions?: readonly Condition[];
}

interface RouteStatus {
  readonly status?: { readonly parents?: readonly ParentStatus[] };
}

export interface HTTPRoute
  extends Base<`${typeof GATEWAY_GROUP}/${"v1" | "v1beta1"}`, "HTTPRoute">,
    RouteStatus {
  readonly spec: {
    readonly parentRefs?: readonly ParentReference[];
    readonly hostnames?: readonly string[];
    readonly rules?: readonly HttpRouteRule[];
  };
}

export interface GRPCRoute extends Base<`${typeof GATEWAY_GROUP}/v1`, "GRPCRoute">, RouteStatus {
  readonly spec: {
    readonly parentRefs?: readonly ParentReference[];
    readonly hostnames?: readonly string[];
    readonly rules?: readonly GrpcRouteRule[];
  };
}

export interface TCPRoute
  extends Base<`${typeof GATEWAY_GROUP}/${"v1" | "v1alpha2"}`, "TCPRoute">,
    RouteStatus {
  readonly spec: {
    readonly parentRefs?: readonly ParentReference[];
    readonly rules: readonly L4RouteRule[];
  };
}

export interface TLSRoute
  extends Base<`${typeof GATEWAY_GROUP}/${"v1" | "v1alpha2" | "v1alpha3"}`, "TLSRoute">,
    RouteStatus {
  readonly spec: {
    readonly parentRefs?: readonly ParentReference[];
    readonly hostnames?: readonly string[];
    readonly rules: readonly L4RouteRule[];
  };
}

export type GatewayRoute = HTTPRoute | GRPCRoute | TCPRoute | TLSRoute;

export interface ReferenceGrant
  extends Base<`${typeof GATEWAY_GROUP}/${"v1" | "v1beta1"}`, "ReferenceGrant"> {
  readonly spec: {
    readonly from: readonly {
      readonly group: string;
      readonly kind: string;
      readonly namespace: string;
    }[];
    readonly to: readonly {
      readonly group: string;
      readonly kind: string;
      readonly name?: string;
    }[];
  };
}

/** What a policy is attached to, in the policy's own namespace. */
export interface PolicyTarget {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  /** Of a Service: the name of a port. */
  readonly sectionName?: string;
}

/** What one controller says of a policy's attachment. */
export interface AncestorStatus {
  readonly ancestorRef: ParentReference;
  readonly controllerName: string;
  readonly conditions?: readonly Condition[];
}

export interface SubjectAltName {
  readonly type: "Hostname" | "URI";
  readonly hostname?: string;
  readonly uri?: string;
}

export interface BackendTLSPolicy
  extends Base<`${typeof GATEWAY_GROUP}/${"v1" | "v1alpha3"}`, "BackendTLSPolicy"> {
  readonly spec: {
    readonly targetRefs: readonly PolicyTarget[];
    readonly validation: {
      readonly caCertificateRefs?: readonly {
        readonly group: string;
        readonly kind: string;
        readonly name: string;
      }[];
      readonly wellKnownCACertificates?: string;
      /** The SNI, and who the server has to be unless `subjectAltNames` are given. */
      readonly hostname: string;
      readonly subjectAltNames?: readonly SubjectAltName[];
    };
    readonly options?: Readonly<Record<string, string>>;
  };
  readonly status?: { readonly ancestors?: readonly AncestorStatus[] };
}

/**
 * The names under which Istio's controllers write statuses: of routes, whatever their parents
 * are, and of policies attached to services of the mesh. Source: istio pkg/config/constants.
 */
export const ROUTE_CONTROLLER = "istio.io/gateway-controller";
export const POLICY_CONTROLLER = "istio.io/mesh-controller";
