/**
 * Principals under the mesh's trust domain and its aliases: whoever a policy names by one of them
 * is meant by all of them. Rules: istio/istio pilot/pkg/security/trustdomain/bundle.go, which
 * istiod applies to the policies of sidecars and waypoints, and to none of ztunnel's.
 */
import type { PolicyOptions } from "./types.ts";

/** In a principal it stands for the mesh's own trust domain, whatever that is called. */
const LOCAL_POINTER = "cluster.local";

export type TrustDomains = Pick<PolicyOptions, "trustDomain" | "trustDomainAliases">;

/** `<trust domain>/ns/<namespace>/sa/<service account>`: only these five parts name a domain. */
const PRINCIPAL_PARTS = 5;

/**
 * The principals that one stands for, as written in a policy and without `spiffe://`: itself,
 * unless it names the mesh's trust domain or an alias (perhaps as `*suffix` or `prefix*`), or
 * `cluster.local`; then one for each of them.
 */
export function expandPrincipal(principal: string, domains: TrustDomains): readonly string[] {
  if (domains.trustDomain === undefined) return [principal];
  const all = [domains.trustDomain, ...(domains.trustDomainAliases ?? [])];
  const [written = "", ...rest] = principal.split("/");
  if (rest.length !== PRINCIPAL_PARTS - 1 || written === "*") return [principal];
  if (written !== LOCAL_POINTER && !all.some((domain) => matches(domain, written))) {
    return [principal];
  }
  const expanded = all.map((domain) =>
    written.startsWith("*") && matches(domain, written) ? principal : [domain, ...rest].join("/"),
  );
  return [...new Set(expanded)];
}

function matches(domain: string, written: string): boolean {
  if (written.startsWith("*")) return domain.endsWith(written.slice(1));
  if (written.endsWith("*")) return domain.startsWith(written.slice(0, -1));
  return domain === written;
}
