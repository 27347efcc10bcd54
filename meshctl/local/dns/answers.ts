/** From the bytes of a DNS query to the bytes of its answer; no sockets. */
import dnsPacket, { type Answer, type Packet, type Question } from "dns-packet";
import { DNS_EDNS_MAX_BYTES, DNS_TTL_SECONDS, DNS_UDP_MAX_BYTES } from "#meshctl/local/limits.ts";
import { CLUSTER_DOMAIN, type DnsRecord, type DnsZone } from "./zone.ts";

/** RFC 1035 §4.1.1. */
const NOERROR = 0;
const FORMERR = 1;
const NXDOMAIN = 3;
const NOTIMP = 4;
const HEADER_BYTES = 12;
const MAX_CNAMES = 8;

/**
 * Answers with authority for everything: a name outside the cluster does not exist (NXDOMAIN),
 * because there is no network outside. REFUSED would be as true, but resolvers take it for a broken
 * server and wait for another one. Returns undefined for what deserves no answer: no DNS query at
 * all.
 */
export function answerQuery(
  query: Uint8Array,
  zone: DnsZone,
  transport: "udp" | "tcp",
  random: () => number,
): Uint8Array | undefined {
  const packet = decode(query);
  if (packet === undefined) return headerOnly(query, FORMERR);
  if (packet.type !== "query") return undefined;
  const [question] = packet.questions ?? [];
  if (packet.opcode !== undefined && packet.opcode !== "QUERY") return headerOnly(query, NOTIMP);
  if (question === undefined || packet.questions?.length !== 1) return headerOnly(query, FORMERR);
  if (!isSaidAgainAsItCame(question, query)) return headerOnly(query, FORMERR);
  const edns = packet.additionals?.find((record) => record.type === "OPT");
  const limit =
    edns === undefined
      ? DNS_UDP_MAX_BYTES
      : Math.min(Math.max(edns.udpPayloadSize, DNS_UDP_MAX_BYTES), DNS_EDNS_MAX_BYTES);
  const { answers, additionals, code } = resolve(question, zone, random);
  const opt = edns === undefined ? [] : [optRecord()];
  const full = encode(packet, question, answers, [...additionals, ...opt], code);
  if (transport === "tcp" || full.length <= limit) return full;
  const plain = encode(packet, question, answers, opt, code);
  if (plain.length <= limit) return plain;
  return encode(packet, question, [], opt, code, dnsPacket.TRUNCATED_RESPONSE);
}

/**
 * A label may hold any bytes, dots among them; as text it would be another name, and the answer to
 * another question.
 */
function isSaidAgainAsItCame(question: Question, query: Uint8Array): boolean {
  const again = dnsPacket.encode({ type: "query", questions: [question] }).subarray(HEADER_BYTES);
  return again.equals(query.subarray(HEADER_BYTES, HEADER_BYTES + again.length));
}

interface Resolution {
  readonly answers: readonly Answer[];
  readonly additionals: readonly Answer[];
  readonly code: number;
}

function resolve(question: Question, zone: DnsZone, random: () => number): Resolution {
  const answers: Answer[] = [];
  const additionals: Answer[] = [];
  let name = question.name;
  for (let hops = 0; hops < MAX_CNAMES; hops++) {
    const records = zone.lookup(name.toLowerCase().replace(/\.$/, ""));
    if (records === undefined) return { answers, additionals, code: hops > 0 ? NOERROR : NXDOMAIN };
    const matching = records.filter((record) => record.type === question.type);
    for (const record of shuffle(matching, random)) {
      answers.push(toAnswer(name, record));
      if (record.type === "SRV") additionals.push(...targetAddresses(record.data.target, zone));
    }
    const cname = records.find((record) => record.type === "CNAME");
    if (cname === undefined || matching.length > 0 || typeof cname.data !== "string") break;
    answers.push(toAnswer(name, cname));
    name = cname.data;
  }
  return { answers, additionals, code: NOERROR };
}

function targetAddresses(target: string, zone: DnsZone): readonly Answer[] {
  const records = zone.lookup(target.toLowerCase()) ?? [];
  return records
    .filter((record) => record.type === "A" || record.type === "AAAA")
    .map((record) => toAnswer(target, record));
}

function toAnswer(name: string, record: DnsRecord): Answer {
  const common = { name, ttl: DNS_TTL_SECONDS, class: "IN" } as const;
  if (record.type === "SRV") {
    // Priority 0 and equal weights: every endpoint is as good as the others.
    return { ...common, type: "SRV", data: { ...record.data, priority: 0, weight: 100 } };
  }
  if (record.type === "PTR" || record.type === "CNAME") {
    return { ...common, type: record.type, data: record.data };
  }
  return { ...common, type: record.type, data: record.data };
}

/** Clients take the first address: let it be another one each time. */
function shuffle<Value>(values: readonly Value[], random: () => number): Value[] {
  return values
    .map((value) => ({ value, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ value }) => value);
}

function encode(
  query: Packet,
  question: Question,
  answers: readonly Answer[],
  additionals: readonly Answer[],
  code: number,
  extraFlags = 0,
): Uint8Array {
  const recursionDesired = (query.flags ?? 0) & dnsPacket.RECURSION_DESIRED;
  return dnsPacket.encode({
    type: "response",
    id: query.id,
    flags:
      dnsPacket.AUTHORITATIVE_ANSWER |
      dnsPacket.RECURSION_AVAILABLE |
      recursionDesired |
      extraFlags |
      code,
    questions: [question],
    answers: [...answers],
    // A negative answer names the zone and how long it may be remembered (RFC 2308).
    authorities: answers.length === 0 ? [soaRecord()] : [],
    additionals: [...additionals],
  });
}

function soaRecord(): Answer {
  return {
    type: "SOA",
    name: CLUSTER_DOMAIN,
    ttl: DNS_TTL_SECONDS,
    data: {
      mname: `ns.dns.${CLUSTER_DOMAIN}`,
      rname: `hostmaster.${CLUSTER_DOMAIN}`,
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86400,
      minimum: DNS_TTL_SECONDS,
    },
  };
}

function optRecord(): Answer {
  return {
    type: "OPT",
    name: ".",
    udpPayloadSize: DNS_EDNS_MAX_BYTES,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
}

function decode(query: Uint8Array): (Packet & { opcode?: string }) | undefined {
  try {
    return dnsPacket.decode(Buffer.from(query));
  } catch {
    return undefined; // The sender is told FORMERR.
  }
}

/** An error answer that repeats no more of the query than its id. */
function headerOnly(query: Uint8Array, code: number): Uint8Array | undefined {
  const isResponse = ((query[2] ?? 0x80) & 0x80) !== 0;
  if (query.length < HEADER_BYTES || isResponse) return undefined;
  const answer = new Uint8Array(HEADER_BYTES);
  answer.set(query.subarray(0, 2));
  answer[2] = 0x80 | ((query[2] ?? 0) & 0x79);
  answer[3] = code;
  return answer;
}
