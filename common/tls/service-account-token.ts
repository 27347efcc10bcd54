/**
 * Bound service account tokens as Kubernetes issues them: the claims, and signing where no API
 * server does it (`meshctl up`). Checking them is istiod-lite's part.
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { calculateJwkThumbprint, exportJWK, type JSONWebKeySet, SignJWT } from "jose";

/** Kubernetes' default issuer, kube-apiserver's --service-account-issuer. */
export const SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc.cluster.local";

/**
 * The audience of tokens for istiod, of its certificate service as of xDS. Source: Istio's charts.
 */
export const ISTIO_CA_AUDIENCE = "istio-ca";

/** What a token says about its holder: a pod and its service account. */
export interface ServiceAccountClaims {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly podName: string;
  readonly podUid: string;
  /** The name of the pod's node. */
  readonly node: string;
  /** Defaults to `[ISTIO_CA_AUDIENCE]`. */
  readonly audiences?: readonly string[];
}

/** The `kubernetes.io` claim (KEP-1205, KEP-4193). */
export interface KubernetesClaim {
  readonly namespace: string;
  readonly node?: { readonly name: string };
  readonly pod?: { readonly name: string; readonly uid: string };
  readonly serviceaccount: { readonly name: string };
}

/**
 * Signs a token (ES256) with an ECDSA P-256 private key; `now` is in milliseconds since the epoch.
 */
export async function signServiceAccountToken(
  key: KeyObject,
  claims: ServiceAccountClaims,
  ttlSeconds: number,
  now: number = Date.now(),
): Promise<string> {
  const issuedAt = Math.floor(now / 1000);
  const kubernetes: KubernetesClaim = {
    namespace: claims.namespace,
    node: { name: claims.node },
    pod: { name: claims.podName, uid: claims.podUid },
    serviceaccount: { name: claims.serviceAccount },
  };
  return new SignJWT({ "kubernetes.io": kubernetes })
    .setProtectedHeader({ alg: "ES256", kid: await keyId(key) })
    .setIssuer(SERVICE_ACCOUNT_ISSUER)
    .setSubject(`system:serviceaccount:${claims.namespace}:${claims.serviceAccount}`)
    .setAudience([...(claims.audiences ?? [ISTIO_CA_AUDIENCE])])
    .setIssuedAt(issuedAt)
    .setNotBefore(issuedAt)
    .setExpirationTime(issuedAt + ttlSeconds)
    .sign(key);
}

/** The key set (RFC 7517) that verifies what `key` signs: what `istiod-lite --token-jwks` reads. */
export async function publicJwks(key: KeyObject): Promise<JSONWebKeySet> {
  const jwk = await exportJWK(createPublicKey(key));
  return { keys: [{ ...jwk, alg: "ES256", use: "sig", kid: await keyId(key) }] };
}

/** RFC 7638: the same for the private and the public half. */
async function keyId(key: KeyObject): Promise<string> {
  return calculateJwkThumbprint(await exportJWK(createPublicKey(key)));
}
