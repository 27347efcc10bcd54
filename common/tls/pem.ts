/** PEM (RFC 7468): writing one block, and splitting a text of certificates into its blocks. */
import { X509Certificate } from "node:crypto";
import { MeshError } from "#common/runtime/errors.ts";
import { MAX_CERTIFICATE_BYTES, MAX_PEM_CERTIFICATES } from "./limits.ts";

/** Base64 makes 4 characters of 3 bytes; line ends and labels are in the rest. */
const MAX_PEM_CERTIFICATE_CHARS = MAX_CERTIFICATE_BYTES * 2;

export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/**
 * The bytes of the only block of a PEM text, which must bear one of `labels`. Undefined otherwise.
 */
export function fromPem(text: string, labels: readonly string[]): Buffer | undefined {
  const match =
    /^-----BEGIN ([A-Z0-9 ]+)-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END ([A-Z0-9 ]+)-----$/.exec(
      text.trim(),
    );
  const [, label = "", body = "", endLabel] = match ?? [];
  if (!labels.includes(label) || label !== endLabel) return undefined;
  return Buffer.from(body, "base64");
}

/**
 * The certificates of a PEM text, each as its own PEM block; text between blocks is dropped. Throws
 * MeshError PEM_INVALID if there is none, or more than MAX_PEM_CERTIFICATES, or one too large.
 */
export function splitPemCertificates(text: string): string[] {
  if (text.length > MAX_PEM_CERTIFICATES * MAX_PEM_CERTIFICATE_CHARS) {
    throw new MeshError("PEM_INVALID", "the PEM text is too large");
  }
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new MeshError("PEM_INVALID", "no PEM certificate in the text");
  if (blocks.length > MAX_PEM_CERTIFICATES) {
    throw new MeshError(
      "PEM_INVALID",
      `more than ${MAX_PEM_CERTIFICATES} certificates in one text`,
    );
  }
  return blocks.map((block) => `${block.replaceAll("\r", "")}\n`);
}

/** The certificates of a PEM text, parsed. Throws MeshError PEM_INVALID. */
export function readPemCertificates(text: string): X509Certificate[] {
  return splitPemCertificates(text).map((block) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw new MeshError("PEM_INVALID", "a certificate of the text cannot be read", { cause });
    }
  });
}
