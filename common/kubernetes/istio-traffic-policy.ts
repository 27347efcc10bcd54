/**
 * DestinationRule's trafficPolicy in the API's own JSON shape. Source: istio/api
 * networking/v1alpha3/destination_rule.proto.
 */
export interface IstioConsistentHash {
  readonly httpHeaderName?: string;
  readonly httpCookie?: { readonly name: string; readonly path?: string; readonly ttl?: string };
  readonly useSourceIp?: boolean;
  readonly httpQueryParameterName?: string;
  readonly ringHash?: { readonly minimumRingSize?: number };
  readonly maglev?: { readonly tableSize?: number };
  readonly minimumRingSize?: number;
}

export interface IstioLocalityLb {
  readonly enabled?: boolean;
  readonly distribute?: readonly {
    readonly from?: string;
    readonly to?: Readonly<Record<string, number>>;
  }[];
  readonly failover?: readonly { readonly from?: string; readonly to?: string }[];
  readonly failoverPriority?: readonly string[];
}

export interface IstioLoadBalancer {
  readonly simple?: string;
  readonly consistentHash?: IstioConsistentHash;
  readonly localityLbSetting?: IstioLocalityLb;
  readonly warmup?: {
    readonly duration: string;
    readonly minimumPercent?: number;
    readonly aggression?: number;
  };
  /** Deprecated form of `warmup`. */
  readonly warmupDurationSecs?: string;
  readonly zoneAware?: object;
}

export interface IstioConnectionPool {
  readonly tcp?: {
    readonly maxConnections?: number;
    readonly connectTimeout?: string;
    readonly tcpKeepalive?: object;
    readonly maxConnectionDuration?: string;
    readonly idleTimeout?: string;
  };
  readonly http?: {
    readonly http1MaxPendingRequests?: number;
    readonly http2MaxRequests?: number;
    readonly maxRequestsPerConnection?: number;
    readonly maxRetries?: number;
    readonly idleTimeout?: string;
    readonly h2UpgradePolicy?: "DEFAULT" | "DO_NOT_UPGRADE" | "UPGRADE";
    readonly useClientProtocol?: boolean;
    readonly maxConcurrentStreams?: number;
  };
}

export interface IstioOutlierDetection {
  readonly consecutiveErrors?: number;
  readonly splitExternalLocalOriginErrors?: boolean;
  readonly consecutiveLocalOriginFailures?: number;
  readonly consecutiveGatewayErrors?: number;
  readonly consecutive5xxErrors?: number;
  readonly interval?: string;
  readonly baseEjectionTime?: string;
  readonly maxEjectionPercent?: number;
  readonly minHealthPercent?: number;
}

export interface IstioClientTls {
  readonly mode?: "DISABLE" | "SIMPLE" | "MUTUAL" | "ISTIO_MUTUAL";
  readonly clientCertificate?: string;
  readonly privateKey?: string;
  readonly caCertificates?: string;
  readonly credentialName?: string;
  readonly subjectAltNames?: readonly string[];
  readonly sni?: string;
  readonly insecureSkipVerify?: boolean;
  readonly caCrl?: string;
}

/** What a port can have of its own. */
export interface IstioPortPolicy {
  readonly loadBalancer?: IstioLoadBalancer;
  readonly connectionPool?: IstioConnectionPool;
  readonly outlierDetection?: IstioOutlierDetection;
  readonly tls?: IstioClientTls;
}

export interface IstioTrafficPolicy extends IstioPortPolicy {
  readonly portLevelSettings?: readonly (IstioPortPolicy & {
    readonly port?: { readonly number?: number };
  })[];
  readonly proxyProtocol?: { readonly version?: "V1" | "V2" };
  readonly tunnel?: object;
  readonly retryBudget?: object;
}
