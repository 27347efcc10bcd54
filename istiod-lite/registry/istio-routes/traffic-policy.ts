/** A trafficPolicy in the form in which a waypoint gets it, with Istio's defaults filled in. */
import type {
  IstioClientTls,
  IstioConnectionPool,
  IstioOutlierDetection,
  IstioPortPolicy,
  IstioTrafficPolicy,
} from "#common/kubernetes/istio-traffic-policy.ts";
import type { TrafficPolicy } from "#common/model/waypoint/backend.ts";
import { TRUST_NOBODY } from "../routes/ca-certificates.ts";
import { durationMs } from "./http-actions.ts";
import { loadBalancerOf } from "./load-balancer.ts";
import type { Remarks } from "./remarks.ts";

/** Of one port; `proxyProtocol` is only the whole's. */
export type FlatPolicy = IstioPortPolicy & Pick<IstioTrafficPolicy, "proxyProtocol">;

export function trafficPolicyOf(
  policy: FlatPolicy,
  field: string,
  remarks: Remarks,
): TrafficPolicy {
  const { outlierDetection, proxyProtocol, connectionPool, tls } = policy;
  const balancer = loadBalancerOf(policy, `${field}.loadBalancer`, remarks);
  const pool = connectionPool && poolOf(connectionPool, `${field}.connectionPool`, remarks);
  const clientTls = tls && tlsOf(tls, `${field}.tls`, remarks);
  return {
    ...(balancer && { loadBalancer: balancer }),
    ...(pool && { connectionPool: pool }),
    ...(outlierDetection && {
      outlierDetection: outlierOf(outlierDetection, `${field}.outlierDetection`, remarks),
    }),
    ...(clientTls && { tls: clientTls }),
    ...(proxyProtocol && { proxyProtocol: proxyProtocol.version === "V2" ? "v2" : "v1" }),
  };
}

/** 0 is no bound but the default, as for Istio. */
function poolOf(
  { tcp = {}, http = {} }: IstioConnectionPool,
  field: string,
  remarks: Remarks,
): NonNullable<TrafficPolicy["connectionPool"]> {
  const { tcpKeepalive, maxConnectionDuration } = tcp;
  const { maxConcurrentStreams } = http;
  remarks.unsupported({ tcpKeepalive, maxConnectionDuration }, `${field}.tcp`);
  remarks.unsupported({ maxConcurrentStreams }, `${field}.http`);
  if (http.useClientProtocol === true) {
    remarks.add(`${field}.http.useClientProtocol`, "is not supported: the port's protocol decides");
  }
  const numbers = {
    maxConnections: tcp.maxConnections,
    connectTimeoutMs: durationMs(tcp.connectTimeout),
    maxPendingRequests: http.http1MaxPendingRequests,
    maxRequests: http.http2MaxRequests,
    maxRetries: http.maxRetries,
    maxRequestsPerConnection: http.maxRequestsPerConnection,
    idleTimeoutMs: durationMs(http.idleTimeout ?? tcp.idleTimeout),
  };
  const given = Object.entries(numbers).filter(([, value]) => value !== undefined && value > 0);
  return {
    ...Object.fromEntries(given),
    ...(http.h2UpgradePolicy === "UPGRADE" && { http2Upgrade: true }),
  };
}

/** Sources: istio/api OutlierDetection and Envoy's outlier detection, their defaults. */
const OUTLIER_DEFAULTS = {
  consecutive5xx: 5,
  consecutiveGatewayErrors: 0,
  consecutiveLocalOriginFailures: 5,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionPercent: 10,
  minHealthPercent: 0,
};

function outlierOf(
  given: IstioOutlierDetection,
  field: string,
  remarks: Remarks,
): NonNullable<TrafficPolicy["outlierDetection"]> {
  if (given.consecutiveErrors !== undefined) {
    const message = "has no effect in Istio any more: write consecutive5xxErrors";
    remarks.add(`${field}.consecutiveErrors`, message);
  }
  const defaults = OUTLIER_DEFAULTS;
  return {
    consecutive5xx: given.consecutive5xxErrors ?? defaults.consecutive5xx,
    consecutiveGatewayErrors: given.consecutiveGatewayErrors ?? defaults.consecutiveGatewayErrors,
    consecutiveLocalOriginFailures:
      given.consecutiveLocalOriginFailures ?? defaults.consecutiveLocalOriginFailures,
    splitLocalOriginErrors: given.splitExternalLocalOriginErrors ?? false,
    intervalMs: durationMs(given.interval) || defaults.intervalMs,
    baseEjectionMs: durationMs(given.baseEjectionTime) || defaults.baseEjectionMs,
    maxEjectionPercent: given.maxEjectionPercent || defaults.maxEjectionPercent,
    minHealthPercent: given.minHealthPercent ?? defaults.minHealthPercent,
  };
}

/** Files that are the system's own roots by another name. */
const SYSTEM_ROOTS = new Set([
  ...["system", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"],
  ...["/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"],
]);

/**
 * Files and secrets are not read: where one is asked for, nobody is trusted, for the system's roots
 * would trust others than were meant.
 */
function tlsOf(tls: IstioClientTls, field: string, remarks: Remarks): TrafficPolicy["tls"] {
  const { mode = "DISABLE", sni = "", subjectAltNames = [], insecureSkipVerify = false } = tls;
  if (mode === "ISTIO_MUTUAL") {
    const message = "ISTIO_MUTUAL is ignored: inside the mesh connections have mutual TLS anyway";
    remarks.add(`${field}.mode`, message);
  }
  if (mode !== "SIMPLE" && mode !== "MUTUAL") return undefined;
  const { credentialName, caCrl } = tls;
  const { clientCertificate, privateKey } = mode === "MUTUAL" ? tls : {};
  const ca = SYSTEM_ROOTS.has(tls.caCertificates ?? "") ? undefined : tls.caCertificates;
  const unread = { credentialName, caCrl, clientCertificate, privateKey, caCertificates: ca };
  const isLost = Object.values(unread).some((value) => value !== undefined);
  const effect = insecureSkipVerify ? "it has no effect" : "connections fail";
  remarks.unsupported(unread, field, `files and secrets are not read: ${effect}`);
  return {
    mode: mode === "MUTUAL" ? "mutual" : "simple",
    ...(sni !== "" && { sni }),
    subjectAltNames,
    insecureSkipVerify,
    ...(isLost && { caCertificates: TRUST_NOBODY }),
  };
}
