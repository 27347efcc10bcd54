/** For tests: revocation lists of a CA in memory, right ones and wrong ones. */
import type { X509Certificate } from "node:crypto";
import * as der from "./der-writer.ts";
import { toPem } from "./pem.ts";
import type { Issuer } from "./write-certificate.ts";
import { readIssuerAndSerial, readSubject } from "./x509-extensions.ts";
import { extension, signed } from "./x509-structures.ts";

export interface CrlTemplate {
  readonly thisUpdate?: Date;
  /** Left out if null. */
  readonly nextUpdate?: Date | null;
  /** Extensions of the whole list. */
  readonly extensions?: readonly { oid: string; critical: boolean; value: der.DerNode }[];
  /** Serial numbers besides those of the certificates. */
  readonly serials?: readonly Uint8Array[];
}

const HOUR_MS = 3_600_000;

/** A list by `issuer` that revokes the certificates, as DER. */
export function writeCrl(
  issuer: Issuer,
  revoked: readonly X509Certificate[],
  template: CrlTemplate = {},
): Buffer {
  const { thisUpdate = new Date(Date.now() - HOUR_MS), extensions = [] } = template;
  const nextUpdate =
    template.nextUpdate === undefined ? new Date(Date.now() + HOUR_MS) : template.nextUpdate;
  const serials = [
    ...revoked.map(({ raw }) => readIssuerAndSerial(raw).serial),
    ...(template.serials ?? []),
  ];
  const entries = serials.map((serial) =>
    der.sequence(der.integerBytes(serial), der.time(thisUpdate)),
  );
  const list = extensions.map(({ oid, critical, value }) => extension(oid, critical, value));
  return signed(issuer.privateKey, (algorithm) =>
    der.sequence(
      der.integer(1), // version 2
      algorithm(),
      der.encoded(readSubject(issuer.certificate.raw)),
      der.time(thisUpdate),
      ...(nextUpdate === null ? [] : [der.time(nextUpdate)]),
      ...(entries.length === 0 ? [] : [der.sequence(...entries)]),
      ...(list.length === 0 ? [] : [der.contextConstructed(0, der.sequence(...list))]),
    ),
  );
}

export function crlPem(...lists: readonly Uint8Array[]): string {
  return lists.map((list) => toPem("X509 CRL", list)).join("");
}
