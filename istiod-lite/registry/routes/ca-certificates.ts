/**
 * Whom a BackendTLSPolicy trusts. What cannot be had never becomes the system's roots: then nobody
 * is trusted, and every connection fails.
 */
import type { BackendTLSPolicy } from "#common/kubernetes/route-objects.ts";

/** Source: BackendTLSPolicyValidation.caCertificateRefs. */
export const CA_KEY = "ca.crt";

/** Holds no certificate, so nobody is trusted. Not empty: that would mean the system's roots. */
export const TRUST_NOBODY = "# none of the policy's CA certificates can be used\n";

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/;

export interface CaCertificates {
  /** PEM; absent: the system's. */
  readonly pem?: string;
  readonly problem?: {
    readonly reason: "InvalidCACertificateRef" | "InvalidKind";
    readonly message: string;
  };
  /** Why connections fail, where nothing is left to trust. */
  readonly useless?: {
    readonly reason: "NoValidCACertificate" | "Invalid";
    readonly message: string;
  };
}

/** `configMap` gives the text under the key `ca.crt`; "" where the ConfigMap has none. */
export function caCertificates(
  { metadata, spec }: BackendTLSPolicy,
  configMap: (key: string) => string | undefined,
): CaCertificates {
  const { caCertificateRefs = [], wellKnownCACertificates } = spec.validation;
  if (caCertificateRefs.length === 0) {
    if (wellKnownCACertificates === "System") return {};
    const message = `${wellKnownCACertificates} is no set of certificates here: write System`;
    return { pem: TRUST_NOBODY, useless: { reason: "Invalid", message } };
  }
  const { namespace = "default" } = metadata;
  const usable: string[] = [];
  let problem: CaCertificates["problem"];
  caCertificateRefs.forEach(({ group, kind, name }, index) => {
    const field = `spec.validation.caCertificateRefs[${index}]`;
    if (kind !== "ConfigMap" || (group !== "" && group !== "core")) {
      const message = `${field}: ${kind} is no kind of certificates here: name a ConfigMap`;
      problem ??= { reason: "InvalidKind", message };
      return;
    }
    const text = configMap(`${namespace}/${name}`);
    if (text !== undefined && PEM_BLOCK.test(text)) usable.push(text.trimEnd());
    else problem ??= { reason: "InvalidCACertificateRef", message: `${field}: ${why(name, text)}` };
  });
  if (usable.length > 0) return { pem: `${usable.join("\n")}\n`, ...(problem && { problem }) };
  const useless = { reason: "NoValidCACertificate", message: problem?.message ?? "" } as const;
  return { pem: TRUST_NOBODY, ...(problem && { problem }), useless };
}

function why(name: string, text: string | undefined): string {
  if (text === undefined) return `there is no ConfigMap ${name}`;
  return text === ""
    ? `ConfigMap ${name} has no key ${CA_KEY}`
    : `key ${CA_KEY} of ConfigMap ${name} holds no PEM certificate`;
}
