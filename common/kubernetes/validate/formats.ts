/**
 * The syntaxes of names and addresses inside objects. Sources: RFC 1123 section 2.1 and RFC 1035
 * section 2.3.1 as Kubernetes narrows them ("Object Names and IDs", "Labels and Selectors" in its
 * documentation).
 */

import type { Refusal, TextCheck } from "#common/kubernetes/validate/schema.ts";
import { parseCidr, parseIp } from "#common/model/ip.ts";

const LABEL_1123 = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const NAME_PART = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const TIMESTAMP = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[-+]\d{2}:\d{2})$/;

/** One part of a DNS name: namespaces, containers, volumes. */
export function dnsLabel(text: string): Refusal | undefined {
  if (text.length <= 63 && LABEL_1123.test(text)) return undefined;
  return refuse(
    text,
    "is no DNS label",
    "up to 63 of a-z, 0-9 and -, a letter or digit at both ends",
  );
}

/** Like `dnsLabel`, but it begins with a letter: names of Services. */
export function dnsServiceLabel(text: string): Refusal | undefined {
  if (text.length <= 63 && LABEL_1035.test(text)) return undefined;
  return refuse(text, "is no service name", "up to 63 of a-z, 0-9 and -, a letter first");
}

/** Labels joined by dots: names of most objects, and host names. */
export function dnsSubdomain(text: string): Refusal | undefined {
  const labels = text.split(".");
  if (text.length <= 253 && labels.every((label) => LABEL_1123.test(label))) return undefined;
  return refuse(
    text,
    "is no DNS name",
    "up to 253 of a-z, 0-9, - and ., a letter or digit at both ends",
  );
}

/** `name` or `prefix/name`: keys of labels and annotations. */
export function labelKey(text: string): Refusal | undefined {
  const slash = text.indexOf("/");
  const prefix = slash < 0 ? undefined : text.slice(0, slash);
  const name = text.slice(slash + 1);
  const prefixFine = prefix === undefined || dnsSubdomain(prefix) === undefined;
  if (prefixFine && name.length <= 63 && NAME_PART.test(name)) return undefined;
  return refuse(
    text,
    "is no label key",
    "name or dns.prefix/name, the name up to 63 letters, digits, -_.",
  );
}

/** Kubernetes checks annotation keys without regard to case. */
export function annotationKey(text: string): Refusal | undefined {
  return labelKey(text.toLowerCase());
}

export function labelValue(text: string): Refusal | undefined {
  if (text === "" || (text.length <= 63 && NAME_PART.test(text))) return undefined;
  return refuse(
    text,
    "is no label value",
    "up to 63 letters, digits, - _ and ., none of these at the ends",
  );
}

/** IANA service name syntax (RFC 6335 section 5.1), lower case: names of container ports. */
export function portNameCheck(text: string): Refusal | undefined {
  const fine = LABEL_1123.test(text) && /[a-z]/.test(text) && !text.includes("--");
  if (fine && text.length <= 15) return undefined;
  if (/^[0-9]+$/.test(text)) {
    return {
      message: `${JSON.stringify(text)} is text, not a port`,
      hint: `write ${text} unquoted`,
    };
  }
  return refuse(
    text,
    "is no port name",
    "up to 15 of a-z, 0-9 and single -, with at least one letter",
  );
}

/** A port in text, as AuthorizationPolicies and keys of maps write it. */
export function portText(text: string): Refusal | undefined {
  if (/^[1-9][0-9]{0,4}$/.test(text) && Number(text) <= 65_535) return undefined;
  return refuse(text, "is no port", "a number from 1 to 65535");
}

export function ipAddress(text: string): Refusal | undefined {
  if (parseIp(text) !== undefined) return undefined;
  return refuse(text, "is no IP address", "like 10.0.0.1 or 2001:db8::1");
}

export function cidrBlock(text: string): Refusal | undefined {
  if (text.includes("/") && parseCidr(text) !== undefined) return undefined;
  return refuse(text, "is no CIDR block", "like 10.244.0.0/24 or 2001:db8::/64");
}

export function ipOrCidr(text: string): Refusal | undefined {
  if (parseCidr(text) !== undefined) return undefined;
  return refuse(text, "is neither an IP address nor a CIDR block", "like 10.0.0.1 or 10.0.0.0/8");
}

export function notEmpty(text: string): Refusal | undefined {
  return text === "" ? { message: "is empty" } : undefined;
}

/** RFC 3339 section 5.6. */
export function timestamp(text: string): Refusal | undefined {
  if (TIMESTAMP.test(text) && !Number.isNaN(Date.parse(text))) return undefined;
  return refuse(text, "is no time", "like 2026-01-31T08:00:00Z");
}

export function environmentName(text: string): Refusal | undefined {
  if (/^[-._a-zA-Z][-._a-zA-Z0-9]*$/.test(text)) return undefined;
  return refuse(
    text,
    "is no name of an environment variable",
    "letters, digits, - . _, no digit first",
  );
}

export function configMapKey(text: string): Refusal | undefined {
  const fine = /^[-._a-zA-Z0-9]+$/.test(text) && text !== "." && !text.startsWith("..");
  if (fine && text.length <= 253) return undefined;
  return refuse(text, "is no key of a ConfigMap", "letters, digits, - . and _");
}

/** Where a volume is mounted. */
export function mountPath(text: string): Refusal | undefined {
  if (text !== "" && !text.includes(":") && !text.includes("\0")) return undefined;
  return refuse(text, "is no path", "an absolute path without a colon");
}

/** The text must pass all checks; the first refusal counts. */
export function all(...checks: readonly TextCheck[]): TextCheck {
  return (text) => {
    for (const check of checks) {
      const refusal = check(text);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  };
}

function refuse(text: string, message: string, hint: string): Refusal {
  const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  return { message: `${JSON.stringify(shown)} ${message}`, hint };
}
