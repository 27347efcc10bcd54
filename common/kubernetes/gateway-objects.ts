/** Gateway API's Gateway and GatewayClass in the API's own shape; `objects.ts` exports them too. */
import type { Base, Condition } from "#common/kubernetes/objects.ts";

export type GatewayVersion = "gateway.networking.k8s.io/v1" | "gateway.networking.k8s.io/v1beta1";

export interface NamespaceSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    readonly values?: readonly string[];
  }[];
}

export interface GatewayListener {
  readonly name: string;
  readonly port: number;
  /** HTTP, HTTPS, TLS, TCP, UDP, or a domain-prefixed one; a waypoint's is HBONE. */
  readonly protocol: string;
  readonly hostname?: string;
  readonly allowedRoutes?: {
    readonly namespaces?: {
      /** Same unless said otherwise. */
      readonly from?: "All" | "Same" | "Selector" | "None";
      readonly selector?: NamespaceSelector;
    };
  };
}

export interface GatewayAddressField {
  /** IPAddress unless said otherwise. */
  readonly type?: string;
  readonly value?: string;
}

export interface Gateway extends Base<GatewayVersion, "Gateway"> {
  readonly spec: {
    readonly gatewayClassName: string;
    readonly listeners: readonly GatewayListener[];
    readonly addresses?: readonly GatewayAddressField[];
    readonly infrastructure?: {
      readonly labels?: Readonly<Record<string, string>>;
      readonly annotations?: Readonly<Record<string, string>>;
      /** A ConfigMap of the Gateway's namespace. */
      readonly parametersRef?: {
        readonly group: string;
        readonly kind: string;
        readonly name: string;
      };
    };
  };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly addresses?: readonly GatewayAddressField[];
    readonly listeners?: readonly {
      readonly name: string;
      readonly attachedRoutes?: number;
      readonly conditions?: readonly Condition[];
    }[];
  };
}

export interface GatewayClass extends Base<GatewayVersion, "GatewayClass"> {
  readonly spec: {
    readonly controllerName: string;
    readonly description?: string;
  };
  readonly status?: { readonly conditions?: readonly Condition[] };
}
