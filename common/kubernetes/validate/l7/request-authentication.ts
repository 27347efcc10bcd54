/**
 * RequestAuthentication. Sources: istio/api security/v1beta1/jwt.proto, and Istio's admission
 * (pkg/config/validation ValidateRequestAuthentication).
 */
import { parseIstioDurationMs } from "#common/kubernetes/istio-duration.ts";
import type { JWTRule, RequestAuthentication } from "#common/kubernetes/l7-policy-objects.ts";
import { dnsSubdomain, notEmpty } from "#common/kubernetes/validate/formats.ts";
import { selector } from "#common/kubernetes/validate/istio-selector.ts";
import { checkTargets, targetRef, targetRefs } from "#common/kubernetes/validate/l7/target-refs.ts";
import { conditions, defineKind } from "#common/kubernetes/validate/metadata.ts";
import {
  boolean,
  list,
  object,
  oneOf,
  type Refusal,
  type Report,
  strictObject,
  text,
  unserved,
} from "#common/kubernetes/validate/schema.ts";

/** RFC 9110 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export function headerName(value: string): Refusal | undefined {
  if (TOKEN.test(value)) return undefined;
  return { message: `${JSON.stringify(value)} is no name of a header`, hint: "write x-name" };
}

export function istioDuration(value: string): Refusal | undefined {
  if (parseIstioDurationMs(value) !== undefined) return undefined;
  return { message: `${JSON.stringify(value)} is no duration`, hint: "write 5s, 500ms or 1m" };
}

const jwtRule = strictObject<JWTRule>(
  {
    issuer: text(notEmpty),
    audiences: list(text(notEmpty)),
    jwksUri: text(),
    jwks: text(),
    fromHeaders: list(
      strictObject({ name: text(headerName), prefix: text() }, { required: ["name"] }),
    ),
    fromParams: list(text(notEmpty)),
    fromCookies: list(text(notEmpty)),
    outputPayloadToHeader: text(headerName),
    outputClaimToHeaders: list(
      strictObject(
        { header: text(headerName), claim: text(notEmpty) },
        { required: ["header", "claim"] },
      ),
    ),
    forwardOriginalToken: boolean,
    timeout: text(istioDuration),
    presence: oneOf("OPTIONAL", "REQUIRED"),
    spaceDelimitedClaims: unserved("error", "only scope and permission are split at spaces"),
  },
  { required: ["issuer"], aliases: { jwks_uri: "jwksUri" }, check: checkRule },
);

function checkRule(rule: JWTRule, report: Report): void {
  checkKeys(rule, report);
  if (rule.presence !== "REQUIRED") return;
  const hint = 'remove it, and DENY notRequestPrincipals: ["*"] in an AuthorizationPolicy';
  report("error", ["presence"], "REQUIRED is not supported by this mesh", hint);
}

function checkKeys(rule: JWTRule, report: Report): void {
  const { jwks = "", jwksUri = "" } = rule;
  if (jwks !== "" && jwksUri !== "") {
    report("error", ["jwks"], "cannot be combined with jwksUri", "give one of the two");
  }
  if (jwks === "" && jwksUri === "") {
    const hint = "without keys every token of this issuer is refused: give jwksUri or jwks";
    report("warning", [], "has neither jwks nor jwksUri", hint);
  }
  if (jwksUri !== "" && !/^https?:\/\/[^/?#\s]+/.test(jwksUri)) {
    report("error", ["jwksUri"], "is no http or https URL");
  }
  if (jwks !== "" && !isKeySet(jwks)) {
    report("error", ["jwks"], "is no JSON Web Key Set", 'write {"keys":[{"kty":"RSA",...}]}');
  }
}

function isKeySet(json: string): boolean {
  try {
    const set: unknown = JSON.parse(json);
    return typeof set === "object" && set !== null && "keys" in set && Array.isArray(set.keys);
  } catch {
    return false;
  }
}

export const requestAuthentication = defineKind<RequestAuthentication>({
  kind: "RequestAuthentication",
  group: "security.istio.io",
  versions: ["v1", "v1beta1"],
  name: dnsSubdomain,
  strict: true,
  fields: {
    spec: strictObject({ selector, targetRef, targetRefs, jwtRules: list(jwtRule) }),
    status: object({ conditions }),
  },
  check: checkTargets,
});
