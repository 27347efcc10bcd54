/** The ports of the mesh. Source: Istio's port table (istio/ztunnel ARCHITECTURE.md). */
export const OUTBOUND_PORT = 15001;
export const INBOUND_PLAINTEXT_PORT = 15006;
export const HBONE_PORT = 15008;
export const DNS_PROXY_PORT = 15053;
export const ADMIN_PORT = 15000;
export const METRICS_PORT = 15020;
export const READINESS_PORT = 15021;
export const ISTIOD_XDS_PORT = 15012;
export const ISTIOD_DEBUG_PORT = 15014;
export const ISTIOD_WEBHOOK_PORT = 15017;

/** Destinations no captured connection may name: it would call the proxy itself. */
export const ILLEGAL_PORTS: ReadonlySet<number> = new Set([
  OUTBOUND_PORT,
  INBOUND_PLAINTEXT_PORT,
  HBONE_PORT,
]);
