/**
 * The keys of conditions (`when`). Source: istio.io/latest/docs/reference/config/security/
 * conditions.
 */
import {
  claimSubject,
  HOST,
  headerSubject,
  METHOD,
  NAMESPACE,
  PATH,
  PRINCIPAL,
  REQUEST_PRINCIPAL,
  SNI,
  type TextSubject,
  TRUST_DOMAIN,
} from "./subject.ts";

/** What a field or condition asks about. */
export type Attribute =
  | { readonly kind: "text"; readonly subject: TextSubject }
  | { readonly kind: "service-account" }
  | { readonly kind: "address"; readonly which: "source" | "destination" }
  | { readonly kind: "port" };

const text = (subject: TextSubject): Attribute => ({ kind: "text", subject });
const SOURCE_ADDRESS: Attribute = { kind: "address", which: "source" };

/** Headers that say whom a request is from are not believed: both addresses are the caller's. */
const CONDITIONS: ReadonlyMap<string, Attribute> = new Map([
  ["source.ip", SOURCE_ADDRESS],
  ["remote.ip", SOURCE_ADDRESS],
  ["source.namespace", text(NAMESPACE)],
  ["source.principal", text(PRINCIPAL)],
  ["source.serviceAccount", { kind: "service-account" } as Attribute],
  ["source.trustDomain", text(TRUST_DOMAIN)],
  ["request.auth.principal", text(REQUEST_PRINCIPAL)],
  ["request.auth.audiences", text(claimSubject(["aud"]))],
  ["request.auth.presenter", text(claimSubject(["azp"]))],
  ["destination.ip", { kind: "address", which: "destination" } as Attribute],
  ["destination.port", { kind: "port" } as Attribute],
  ["connection.sni", text(SNI)],
]);

export const SOURCE_FIELDS = {
  principals: text(PRINCIPAL),
  namespaces: text(NAMESPACE),
  serviceAccounts: { kind: "service-account" } as Attribute,
  ipBlocks: SOURCE_ADDRESS,
  remoteIpBlocks: SOURCE_ADDRESS,
  requestPrincipals: text(REQUEST_PRINCIPAL),
} as const;

export const OPERATION_FIELDS = {
  hosts: text(HOST),
  ports: { kind: "port" } as Attribute,
  methods: text(METHOD),
  paths: text(PATH),
} as const;

/** Undefined for a key that is not known. */
export function conditionAttribute(key: string): Attribute | undefined {
  const known = CONDITIONS.get(key);
  if (known !== undefined) return known;
  const header = after(key, "request.headers");
  const name = header?.startsWith("[") && header.endsWith("]") ? header.slice(1, -1) : "";
  if (name !== "") return text(headerSubject(name));
  const path = claimPath(after(key, "request.auth.claims") ?? "");
  return path && text(claimSubject(path));
}

function after(key: string, prefix: string): string | undefined {
  return key.startsWith(prefix) ? key.slice(prefix.length) : undefined;
}

/** `[a][b]` is the claim b of a; `[a.b]` and `[a[b]]` are single names. */
function claimPath(text: string): readonly string[] | undefined {
  if (!text.startsWith("[") || !text.endsWith("]")) return undefined;
  const nested = /^(\[[^[\]]*\])+$/.test(text);
  const path = nested ? text.slice(1, -1).split("][") : [text.slice(1, -1)];
  return path.includes("") ? undefined : path;
}
