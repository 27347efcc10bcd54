/** What every decoder shares: one error for whatever the wire gets wrong, and the address forms. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import { type IpAddress, ipFromBytes } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";

const HINT = "compare the versions of the control plane and of this proxy";

/** A resource that cannot be used as received; the stream goes on and the resource is NACKed. */
export function invalidResource(message: string, cause?: unknown): MeshError {
  return new MeshError("INVALID_RESOURCE", message, { cause, hint: HINT });
}

/** Parses one message; throws MeshError INVALID_RESOURCE where the bytes are not that message. */
export function decodeMessage<Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw invalidResource(`cannot parse ${schema.typeName}`, cause);
  }
}

/** The name of an enum number. Numbers this version does not know are refused, never guessed. */
export function enumName<Name extends string>(
  names: readonly Name[],
  number: number,
  what: string,
): Name {
  const name = names[number];
  if (name === undefined) throw invalidResource(`unknown ${what} ${number}`);
  return name;
}

/** The number of an enum name: the inverse of `enumName` over the same list. */
export function enumNumber<Name extends string>(names: readonly Name[], name: Name): number {
  return names.indexOf(name);
}

export function requiredText(value: string, what: string): string {
  if (value === "") throw invalidResource(`${what} is missing`);
  return value;
}

export function decodeIp(bytes: Uint8Array, what: string): IpAddress {
  const ip = ipFromBytes(bytes);
  if (ip === undefined) {
    throw invalidResource(`${what} has ${bytes.length} bytes, an address has 4 or 16`);
  }
  return ip;
}

export function decodePort(port: number, what: string): number {
  if (port > 65535) throw invalidResource(`${what} ${port} is not a port number`);
  return port;
}
