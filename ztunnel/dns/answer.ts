/** Writing the answers that the mesh gives itself: addresses, nothing, or an error. */
import { type IpAddress, ipToBytes } from "#common/model/ip.ts";
import {
  type AddressQuery,
  CLASS_IN,
  FLAG_AUTHORITATIVE,
  FLAG_CHECKING_DISABLED,
  FLAG_RECURSION_AVAILABLE,
  FLAG_RECURSION_DESIRED,
  FLAG_RESPONSE,
  FLAG_TRUNCATED,
  HEADER_BYTES,
  readQuestion,
  TYPE_A,
  TYPE_AAAA,
  TYPE_CNAME,
  TYPE_OPT,
} from "./message.ts";

// RFC 1035 section 4.1.1, RFC 2136 section 2.2.
export const SERVFAIL = 2;
export const NOTIMP = 4;
export const REFUSED = 5;

/** Seconds that a client may remember an answer. Source: istio/ztunnel src/dns/server.rs. */
const TTL_S = 30;
/** What a UDP client takes that says nothing (RFC 1035 section 4.2.1). */
const UDP_PLAIN_BYTES = 512;
/** What we take and send by UDP: no fragments (DNS flag day 2020). */
const UDP_EDNS_BYTES = 1232;
const OPT_BYTES = 11;
const RECORD_FIXED_BYTES = 10;
/** A compression pointer to the name of the question (RFC 1035 section 4.1.4). */
const QUESTION_NAME = 0xc000 | HEADER_BYTES;

/** What the mesh knows of a name; no addresses means none of the family that was asked for. */
export interface NameAnswer {
  readonly addresses: readonly IpAddress[];
  /**
   * The name was found without a search domain: this many labels of it are left, and the client is
   * told by a CNAME. Undefined where the records stand under the name that was asked for.
   */
  readonly strippedLabels: number | undefined;
}

/**
 * The answer to a query, with the question as it was asked, letter by letter. What does not fit
 * by UDP is left out and marked as truncated, for the client to ask again by TCP.
 */
export function writeAnswer(
  query: Buffer,
  parsed: AddressQuery,
  answer: NameAnswer,
  transport: "udp" | "tcp",
): Buffer {
  const { header, questionEnd, edns } = parsed;
  const limit = transport === "tcp" ? 0xffff : udpLimit(parsed);
  const opt = edns === undefined ? [] : [optRecord(edns.dnssecOk)];
  const records = answerRecords(query, parsed, answer);
  let bytes = questionEnd + opt.length * OPT_BYTES;
  const fitting = records.filter((record) => {
    bytes += record.length;
    return bytes <= limit;
  });
  const truncated = fitting.length < records.length ? FLAG_TRUNCATED : 0;
  const kept = header.flags & (FLAG_RECURSION_DESIRED | FLAG_CHECKING_DISABLED);
  const flags = FLAG_RESPONSE | FLAG_AUTHORITATIVE | FLAG_RECURSION_AVAILABLE | kept | truncated;
  return Buffer.concat([
    writeHeader(header.id, flags, [1, fitting.length, 0, opt.length]),
    query.subarray(HEADER_BYTES, questionEnd),
    ...fitting,
    ...opt,
  ]);
}

/** An error in answer to any query of at least a header; it repeats a question that can be read. */
export function writeError(query: Buffer, rcode: number): Buffer {
  const flags = query.readUInt16BE(2);
  // The opcode and the bits that are the client's own are its own still.
  const kept = flags & (0x7800 | FLAG_RECURSION_DESIRED | FLAG_CHECKING_DISABLED);
  const question = query.readUInt16BE(4) === 1 ? readQuestion(query) : undefined;
  const count = question === undefined ? 0 : 1;
  return Buffer.concat([
    writeHeader(query.readUInt16BE(0), FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | kept | rcode, [
      count,
      0,
      0,
      0,
    ]),
    query.subarray(HEADER_BYTES, question?.end ?? HEADER_BYTES),
  ]);
}

function udpLimit({ edns }: AddressQuery): number {
  if (edns === undefined) return UDP_PLAIN_BYTES;
  return Math.min(edns.udpPayloadBytes, UDP_EDNS_BYTES);
}

function answerRecords(
  query: Buffer,
  { labels, questionEnd }: AddressQuery,
  { addresses, strippedLabels }: NameAnswer,
): Buffer[] {
  if (addresses.length === 0) return [];
  if (strippedLabels === undefined) return addresses.map((ip) => addressRecord(QUESTION_NAME, ip));
  const target = leadingLabels(query, Math.min(strippedLabels, labels.length));
  const cname = record(QUESTION_NAME, TYPE_CNAME, target);
  const owner = 0xc000 | (questionEnd + cname.length - target.length);
  return [cname, ...addresses.map((ip) => addressRecord(owner, ip))];
}

/** The first labels of the question's name as a name of its own. */
function leadingLabels(query: Buffer, count: number): Buffer {
  let at = HEADER_BYTES;
  for (let i = 0; i < count; i++) at += 1 + (query[at] ?? 0);
  return Buffer.concat([query.subarray(HEADER_BYTES, at), Buffer.of(0)]);
}

function addressRecord(owner: number, ip: IpAddress): Buffer {
  const bytes = ipToBytes(ip);
  return record(owner, bytes.length === 4 ? TYPE_A : TYPE_AAAA, bytes);
}

function record(owner: number, type: number, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(2 + RECORD_FIXED_BYTES + data.length);
  bytes.writeUInt16BE(owner, 0);
  bytes.writeUInt16BE(type, 2);
  bytes.writeUInt16BE(CLASS_IN, 4);
  bytes.writeUInt32BE(TTL_S, 6);
  bytes.writeUInt16BE(data.length, 10);
  bytes.set(data, 12);
  return bytes;
}

function optRecord(dnssecOk: boolean): Buffer {
  const bytes = Buffer.alloc(OPT_BYTES);
  bytes.writeUInt16BE(TYPE_OPT, 1);
  bytes.writeUInt16BE(UDP_EDNS_BYTES, 3);
  bytes.writeUInt16BE(dnssecOk ? 0x8000 : 0, 7);
  return bytes;
}

function writeHeader(id: number, flags: number, counts: readonly number[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(flags, 2);
  counts.forEach((count, i) => void header.writeUInt16BE(count, 4 + 2 * i));
  return header;
}
