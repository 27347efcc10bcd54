/**
 * Netlink's framing: messages, and the attributes inside them. What the numbers mean is the
 * business of the files that send and read them. Host order is little endian on all machines that
 * we run on; what is big endian says so.
 */

/** linux/netlink.h */
export const NLM_F_REQUEST = 0x001;
export const NLM_F_ACK = 0x004;
export const NLM_F_DUMP = 0x300;
export const NLM_F_DUMP_INTR = 0x010;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
/** struct nlmsghdr. */
const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;

export interface NetlinkRequest {
  readonly type: number;
  /** Beside NLM_F_REQUEST. */
  readonly flags: number;
  /** The family's own header and its attributes. */
  readonly payload: readonly Buffer[];
}

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** Header of the family and attributes: a view that the next answer overwrites. */
  readonly payload: Buffer;
}

export interface NetlinkAttribute {
  readonly type: number;
  readonly value: Buffer;
}

export function encodeMessage({ type, flags, payload }: NetlinkRequest): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const message = Buffer.concat([header, ...payload]);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(flags | NLM_F_REQUEST, 6);
  return message;
}

/** The messages of one datagram; what is cut off at its end is left out. */
export function* decodeMessages(datagram: Buffer): Generator<NetlinkMessage> {
  for (let at = 0; at + HEADER_BYTES <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < HEADER_BYTES || at + length > datagram.length) return;
    yield {
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      payload: datagram.subarray(at + HEADER_BYTES, at + length),
    };
    at += aligned(length);
  }
}

/** The attributes from a place on; ends at the first that does not fit. */
export function* decodeAttributes(bytes: Buffer, from = 0): Generator<NetlinkAttribute> {
  for (let at = from; at + ATTRIBUTE_HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < ATTRIBUTE_HEADER_BYTES || at + length > bytes.length) return;
    const type = bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK;
    yield { type, value: bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length) };
    at += aligned(length);
  }
}

/** The value of the first attribute of a type. */
export function findAttribute(bytes: Buffer, from: number, type: number): Buffer | undefined {
  for (const attribute of decodeAttributes(bytes, from)) {
    if (attribute.type === type) return attribute.value;
  }
  return undefined;
}

export function attribute(type: number, value: Uint8Array): Buffer {
  const length = ATTRIBUTE_HEADER_BYTES + value.length;
  const bytes = Buffer.alloc(aligned(length));
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, ATTRIBUTE_HEADER_BYTES);
  return bytes;
}

export function nested(type: number, ...attributes: readonly Buffer[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(attributes));
}

/** A string with its final zero, as nf_tables wants names. */
export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}

/** Big endian, as ports are. */
export function uint16be(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value, 0);
  return bytes;
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}
