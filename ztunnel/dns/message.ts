/**
 * Reading DNS messages: the header, one question, and whether a message is a plain question for
 * addresses, the only kind that the mesh answers itself. Nothing here follows a compression
 * pointer, so no message can make it loop. Source of all numbers: RFC 1035 section 4, RFC 6891.
 */

export const HEADER_BYTES = 12;
export const TYPE_A = 1;
export const TYPE_CNAME = 5;
export const TYPE_AAAA = 28;
export const TYPE_OPT = 41;
export const CLASS_IN = 1;
export const OPCODE_QUERY = 0;

export const FLAG_RESPONSE = 0x8000;
export const FLAG_AUTHORITATIVE = 0x0400;
export const FLAG_TRUNCATED = 0x0200;
export const FLAG_RECURSION_DESIRED = 0x0100;
export const FLAG_RECURSION_AVAILABLE = 0x0080;
export const FLAG_CHECKING_DISABLED = 0x0010;

/** Longest name and label on the wire (RFC 1035 section 2.3.4). */
const NAME_MAX_BYTES = 255;
const LABEL_MAX_BYTES = 63;
/** Root name, type, class, TTL and length of an OPT record. */
const OPT_FIXED_BYTES = 11;
const DNSSEC_OK = 0x8000;
const UDP_PAYLOAD_MIN_BYTES = 512;

export interface DnsHeader {
  readonly id: number;
  readonly flags: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  readonly rcode: number;
  readonly questions: number;
  readonly answers: number;
  readonly authorities: number;
  readonly additionals: number;
}

export interface DnsQuestion {
  /** Lower case, outermost label last; undefined where a label is no part of any host name. */
  readonly labels: readonly string[] | undefined;
  readonly type: number;
  readonly class: number;
  /** Where the question ends. */
  readonly end: number;
}

/** A question for a host's addresses and nothing else: what the mesh may answer. */
export interface AddressQuery {
  readonly header: DnsHeader;
  readonly labels: readonly string[];
  readonly family: "ipv4" | "ipv6";
  readonly questionEnd: number;
  readonly edns: Edns | undefined;
}

export interface Edns {
  /** Largest answer that the asker takes by UDP, at least 512. */
  readonly udpPayloadBytes: number;
  readonly dnssecOk: boolean;
}

/** Undefined for what is too short to be a DNS message. */
export function readHeader(message: Buffer): DnsHeader | undefined {
  if (message.length < HEADER_BYTES) return undefined;
  const flags = message.readUInt16BE(2);
  return {
    id: message.readUInt16BE(0),
    flags,
    isResponse: (flags & FLAG_RESPONSE) !== 0,
    opcode: (flags >> 11) & 0xf,
    rcode: flags & 0xf,
    questions: message.readUInt16BE(4),
    answers: message.readUInt16BE(6),
    authorities: message.readUInt16BE(8),
    additionals: message.readUInt16BE(10),
  };
}

/** The first question; undefined where there is none, or its name is malformed or compressed. */
export function readQuestion(message: Buffer): DnsQuestion | undefined {
  if (message.length < HEADER_BYTES || message.readUInt16BE(4) === 0) return undefined;
  let labels: string[] | undefined = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > LABEL_MAX_BYTES) return undefined;
    const end = at + 1 + length;
    if (end - HEADER_BYTES > NAME_MAX_BYTES || end > message.length) return undefined;
    if (length === 0) break;
    const label = readLabel(message, at + 1, end);
    if (label === undefined) labels = undefined;
    else labels?.push(label);
    at = end;
  }
  const end = at + 5;
  if (end > message.length) return undefined;
  return {
    labels,
    type: message.readUInt16BE(at + 1),
    class: message.readUInt16BE(at + 3),
    end,
  };
}

/**
 * The message as a question for addresses; undefined for everything that deserves a real name
 * server's answer: other types, classes and opcodes, several questions, signatures, odd names.
 */
export function readAddressQuery(message: Buffer): AddressQuery | undefined {
  const header = readHeader(message);
  if (header === undefined || header.isResponse || header.opcode !== OPCODE_QUERY) return undefined;
  const { questions, answers, authorities, additionals, flags } = header;
  if (questions !== 1 || answers !== 0 || authorities !== 0 || additionals > 1) return undefined;
  if ((flags & FLAG_TRUNCATED) !== 0) return undefined;
  const question = readQuestion(message);
  if (question?.labels === undefined || question.class !== CLASS_IN) return undefined;
  if (question.type !== TYPE_A && question.type !== TYPE_AAAA) return undefined;
  const edns = additionals === 1 ? readOpt(message, question.end) : undefined;
  if (additionals === 1 ? edns === undefined : question.end !== message.length) return undefined;
  return {
    header,
    labels: question.labels,
    family: question.type === TYPE_A ? "ipv4" : "ipv6",
    questionEnd: question.end,
    edns,
  };
}

/** An OPT record of version 0 that ends with the message. */
function readOpt(message: Buffer, at: number): Edns | undefined {
  const end = at + OPT_FIXED_BYTES;
  if (end > message.length || message[at] !== 0) return undefined;
  if (message.readUInt16BE(at + 1) !== TYPE_OPT || message[at + 6] !== 0) return undefined;
  if (end + message.readUInt16BE(at + 9) !== message.length) return undefined;
  return {
    udpPayloadBytes: Math.max(UDP_PAYLOAD_MIN_BYTES, message.readUInt16BE(at + 3)),
    dnssecOk: (message.readUInt16BE(at + 7) & DNSSEC_OK) !== 0,
  };
}

/** Printable ASCII without dots and backslashes, lower case; undefined for any other label. */
function readLabel(message: Buffer, start: number, end: number): string | undefined {
  for (let at = start; at < end; at++) {
    const byte = message[at] ?? 0;
    if (byte <= 0x20 || byte >= 0x7f || byte === 0x2e || byte === 0x5c) return undefined;
  }
  return message.toString("latin1", start, end).toLowerCase();
}
