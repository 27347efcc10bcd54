/**
 * From the verified claims of a service account token to the pod it is bound to, believing no
 * shape.
 */
import type { JWTPayload } from "jose";
import { MeshError } from "#common/runtime/errors.ts";
import type { Caller } from "./caller.ts";

/** RFC 1123 subdomain, Kubernetes' form of every name here. */
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const UID = /^[A-Za-z0-9-]{1,128}$/;

/** Throws MeshError UNAUTHENTICATED where a claim is missing, malformed, or contradicts `sub`. */
export function callerFromClaims(claims: JWTPayload): Caller {
  const kubernetes = member(claims, "kubernetes.io");
  const pod = member(kubernetes, "pod");
  const namespace = text(kubernetes, "namespace", NAME);
  const serviceAccount = text(member(kubernetes, "serviceaccount"), "name", NAME);
  if (pod === undefined) {
    throw refused("it is not bound to a pod (use a projected token, not a Secret's)");
  }
  if (claims.sub !== `system:serviceaccount:${namespace}:${serviceAccount}`) {
    throw refused("its subject and its kubernetes.io claim name different accounts");
  }
  const node = member(kubernetes, "node");
  return {
    namespace,
    serviceAccount,
    podName: text(pod, "name", NAME),
    podUid: text(pod, "uid", UID),
    ...(node !== undefined && { node: text(node, "name", NAME) }),
  };
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<string, unknown>)[key];
}

function text(value: unknown, key: string, form: RegExp): string {
  const found = member(value, key);
  if (typeof found === "string" && form.test(found)) return found;
  throw refused(`its claim ${key} is missing or malformed`);
}

function refused(why: string): MeshError {
  return new MeshError("UNAUTHENTICATED", `the token does not name a pod: ${why}`);
}
