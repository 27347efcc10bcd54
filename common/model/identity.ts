/**
 * SPIFFE identities as Istio writes them: spiffe://<trust domain>/ns/<namespace>/sa/<service
 * account>.
 */

export interface Identity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The whole URI, for map keys, certificates and logs. */
  readonly uri: string;
}

/** Istio's default trust domain; an empty `trust_domain` on the wire means this one. */
export const DEFAULT_TRUST_DOMAIN = "cluster.local";

/**
 * A mesh's trust domain, then its aliases: identities that differ in nothing else are one.
 * Source: istio/api mesh/v1alpha1, MeshConfig.trust_domain_aliases.
 */
export type TrustDomains = readonly [trustDomain: string, ...aliases: string[]];

// SPIFFE-ID 2.1 and 2.2: lower-case trust domain; path segments of letters, digits, dot, dash,
// underscore.
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const SEGMENT = /^[A-Za-z0-9._-]{1,253}$/;

export function makeIdentity(
  trustDomain: string,
  namespace: string,
  serviceAccount: string,
): Identity {
  const uri = `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
  return { trustDomain, namespace, serviceAccount, uri };
}

/**
 * Parses exactly the form above: no escapes, no query, no trailing slash. Undefined for anything
 * else.
 */
export function parseIdentity(uri: string): Identity | undefined {
  if (!uri.startsWith("spiffe://")) return undefined;
  const parts = uri.slice("spiffe://".length).split("/");
  const [trustDomain = "", ns, namespace = "", sa, serviceAccount = ""] = parts;
  if (parts.length !== 5 || ns !== "ns" || sa !== "sa") return undefined;
  if (!isTrustDomain(trustDomain)) return undefined;
  if (!isSegment(namespace) || !isSegment(serviceAccount)) return undefined;
  return makeIdentity(trustDomain, namespace, serviceAccount);
}

/** Whether this can be the name of a trust domain. */
export function isTrustDomain(text: string): boolean {
  return TRUST_DOMAIN.test(text);
}

function isSegment(text: string): boolean {
  return SEGMENT.test(text) && text !== "." && text !== "..";
}
