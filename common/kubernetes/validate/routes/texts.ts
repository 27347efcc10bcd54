/**
 * The syntaxes of Gateway API's texts. Source: the CRDs of sigs.k8s.io/gateway-api, channel
 * experimental.
 */
import { parseGatewayDurationMs } from "#common/kubernetes/gateway-duration.ts";
import { dnsLabel, dnsSubdomain } from "#common/kubernetes/validate/formats.ts";
import { type Schema, type TextCheck, text } from "#common/kubernetes/validate/schema.ts";

const KIND = /^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/;
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/;
const HEADER_VALUE = /^[!-~]+([\t ]?[!-~]+)*$/;
const MAX_NAME = 253;
const MAX_HEADER_NAME = 256;
const MAX_HEADER_VALUE = 4_096;
const MAX_KIND = 63;
export const MAX_PATH = 1_024;

/** A text that matches; `hint` says how it is written. */
export function pattern(format: RegExp, max: number, what: string, hint: string): TextCheck {
  return (value) => {
    if (value.length <= max && format.test(value)) return undefined;
    const shown = value.length > 80 ? `${value.slice(0, 77)}...` : value;
    return { message: `${JSON.stringify(shown)} is no ${what}`, hint };
  };
}

/** From 1 to `max` characters, unless it may be empty. */
export function sized(max: number, min = 1): TextCheck {
  return (value) => {
    if (value.length >= min && value.length <= max) return undefined;
    if (value.length < min) return { message: "is empty", hint: "give it a value" };
    return { message: `has ${value.length} characters, more than ${max}` };
  };
}

export const group: Schema = text((value) => (value === "" ? undefined : dnsSubdomain(value)));
export const kind: Schema = text(pattern(KIND, MAX_KIND, "kind", "like Service"));
export const name: Schema = text(sized(MAX_NAME));
export const namespaceName: Schema = text(dnsLabel);
export const sectionName: Schema = text(dnsSubdomain);
export const preciseHostname: Schema = text(dnsSubdomain);

/** A host name, or one below a wildcard: `*.example.com`. */
export const hostname: Schema = text((value) =>
  dnsSubdomain(value.startsWith("*.") ? value.slice(2) : value),
);

export const headerNameCheck: TextCheck = pattern(
  HEADER_NAME,
  MAX_HEADER_NAME,
  "header name",
  "letters, digits and any of !#$%&'*+-.^_`|~",
);
export const headerName: Schema = text(headerNameCheck);

export const headerValue: Schema = text(
  pattern(
    HEADER_VALUE,
    MAX_HEADER_VALUE,
    "header value",
    "printable ASCII, single blanks inside, none at the ends",
  ),
);

export const duration: Schema = text((value) => {
  if (parseGatewayDurationMs(value) !== undefined) return undefined;
  const message = `${JSON.stringify(value.slice(0, 80))} is no duration`;
  return { message, hint: "up to four of 1h, 30m, 10s, 500ms in a row, whole numbers only" };
});
