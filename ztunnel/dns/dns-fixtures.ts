/** Queries, and answers as people read them, for the DNS proxy's tests. */
import assert from "node:assert/strict";
import dnsPacket, { type DecodedPacket, type Packet } from "dns-packet";

export interface QueryOptions extends Omit<Packet, "type"> {
  readonly name: string;
  readonly type?: string;
}

/** A query as a resolver would send it, with recursion desired. */
export function makeQuery({ name, type = "A", ...packet }: QueryOptions): Buffer {
  return dnsPacket.encode({
    type: "query",
    id: 4711,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type: type as "A" }],
    ...packet,
  });
}

/** An OPT record with the given payload size. */
export function opt(udpPayloadSize: number, dnssecOk = false): NonNullable<Packet["additionals"]> {
  return [
    {
      type: "OPT",
      name: ".",
      udpPayloadSize,
      extendedRcode: 0,
      ednsVersion: 0,
      flags: dnssecOk ? dnsPacket.DNSSEC_OK : 0,
      flag_do: dnssecOk,
      options: [],
    },
  ];
}

/** The answer of a name server to a query, with one A record. */
export function makeAnswer(query: Buffer, address: string, fields: Packet = {}): Buffer {
  const { id, questions } = dnsPacket.decode(query);
  const [question] = questions ?? [];
  assert.ok(question !== undefined);
  return dnsPacket.encode({
    type: "response",
    id: id ?? 0,
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE,
    questions: [question],
    answers: [{ type: "A", name: question.name, ttl: 60, data: address }],
    ...fields,
  });
}

export function decode(message: Buffer): DecodedPacket & { readonly rcode: string } {
  return dnsPacket.decode(message) as DecodedPacket & { readonly rcode: string };
}

/** `name TYPE data` of each record in the answer section. */
export function records(message: Buffer): readonly string[] {
  return (decode(message).answers ?? []).map((record) => {
    const { name, type, data } = record as { name: string; type: string; data: unknown };
    return `${name} ${type} ${String(data)}`;
  });
}
