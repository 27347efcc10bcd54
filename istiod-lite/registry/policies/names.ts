/**
 * Names of the policies that are made from PeerAuthentications: Istio's, so that its tools know
 * them.
 */
import type { PolicyOptions } from "./types.ts";

// `_` cannot occur in a Kubernetes name, so that no user's policy has these names (ambient.md 1.4
// F66, F67).
const STATIC_STRICT = "istio_converted_static_strict";

export function staticStrictName(options: PolicyOptions): { namespace: string; name: string } {
  return { namespace: options.rootNamespace, name: STATIC_STRICT };
}

export function convertedPeerAuthenticationName(name: string): string {
  return `converted_peer_authentication_${name}`;
}
