/**
 * DER structures, written by node-forge's ASN.1 module. It only ever writes: keys, signatures and
 * everything that is read or believed belong to node:crypto and to der-reader.ts.
 */
import type { asn1 as forgeTypes } from "node-forge";
import asn1 from "node-forge/lib/asn1.js";
import { MeshError } from "#common/runtime/errors.ts";

export type DerNode = forgeTypes.Asn1;

const { Class, Type } = asn1;

export function sequence(...children: DerNode[]): DerNode {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, children);
}

export function set(...children: DerNode[]): DerNode {
  return asn1.create(Class.UNIVERSAL, Type.SET, true, children);
}

/** An object identifier in dotted form. */
export function oid(dotted: string): DerNode {
  return asn1.create(Class.UNIVERSAL, Type.OID, false, asn1.oidToDer(dotted).getBytes());
}

/** A small non-negative integer. */
export function integer(value: number): DerNode {
  return asn1.create(Class.UNIVERSAL, Type.INTEGER, false, asn1.integerToDer(value).getBytes());
}

/** An integer from its two's complement bytes, which must be minimal. */
export function integerBytes(bytes: Uint8Array): DerNode {
  return asn1.create(Class.UNIVERSAL, Type.INTEGER, false, binary(bytes));
}

export function boolean(value: boolean): DerNode {
  return asn1.create(Class.UNIVERSAL, Type.BOOLEAN, false, value ? "\xff" : "\x00");
}

export function nullValue(): DerNode {
  return asn1.create(Class.UNIVERSAL, Type.NULL, false, "");
}

export function octetString(bytes: Uint8Array): DerNode {
  return asn1.create(Class.UNIVERSAL, Type.OCTETSTRING, false, binary(bytes));
}

/** A bit string; `unusedBits` counts the bits of the last byte that do not belong to it. */
export function bitString(bytes: Uint8Array, unusedBits = 0): DerNode {
  const value = String.fromCharCode(unusedBits) + binary(bytes);
  return asn1.create(Class.UNIVERSAL, Type.BITSTRING, false, value);
}

export function utf8String(text: string): DerNode {
  return asn1.create(Class.UNIVERSAL, Type.UTF8, false, binary(Buffer.from(text, "utf8")));
}

/** RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on. */
export function time(date: Date): DerNode {
  return date.getUTCFullYear() < 2050
    ? asn1.create(Class.UNIVERSAL, Type.UTCTIME, false, asn1.dateToUtcTime(date))
    : asn1.create(Class.UNIVERSAL, Type.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date));
}

/** `[number] EXPLICIT` (or the tag of a constructed implicit type). */
export function contextConstructed(number: number, ...children: DerNode[]): DerNode {
  return asn1.create(Class.CONTEXT_SPECIFIC, number, true, children);
}

/** `[number] IMPLICIT` over a primitive type. */
export function contextPrimitive(number: number, bytes: Uint8Array): DerNode {
  return asn1.create(Class.CONTEXT_SPECIFIC, number, false, binary(bytes));
}

/**
 * A structure that is DER already: a public key that node:crypto exported, a name of a certificate.
 * Throws MeshError DER_MALFORMED if writing it again would not give the same bytes.
 */
export function encoded(der: Uint8Array): DerNode {
  const options = { strict: true, parseAllBytes: true, decodeBitStrings: false };
  const node = asn1.fromDer(binary(der), options);
  if (!toDer(node).equals(der)) throw new MeshError("DER_MALFORMED", "not distinguished encoding");
  return node;
}

export function toDer(node: DerNode): Buffer {
  return Buffer.from(asn1.toDer(node).getBytes(), "latin1");
}

function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
