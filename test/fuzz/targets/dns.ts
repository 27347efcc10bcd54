/** DNS messages of pods and of name servers, and what is answered to them. */
import assert from "node:assert/strict";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { service, update } from "#common/mesh-state/test-records.ts";
import { writeAnswer, writeError } from "#ztunnel/dns/answer.ts";
import { isAnswerTo } from "#ztunnel/dns/answer-match.ts";
import { decode, makeAnswer, makeQuery, opt } from "#ztunnel/dns/dns-fixtures.ts";
import { FrameReader, frame } from "#ztunnel/dns/frame-reader.ts";
import { lookUp } from "#ztunnel/dns/look-up.ts";
import {
  type AddressQuery,
  HEADER_BYTES,
  readAddressQuery,
  readHeader,
  readQuestion,
} from "#ztunnel/dns/message.ts";
import { parseResolvConf } from "#ztunnel/dns/resolv-conf.ts";
import type { FuzzTarget } from "../fuzz-target.ts";

const DOMAIN = "svc.cluster.local";
const QUERIES = [
  makeQuery({ name: `web.shop.${DOMAIN}` }),
  makeQuery({ name: `Web.shop.shop.${DOMAIN}`, type: "AAAA", additionals: opt(4096, true) }),
  makeQuery({ name: "a.example", type: "SRV" }),
];
/** A name whose pointer points at itself, and two that point at each other. */
const LOOPS = [
  Buffer.concat([
    QUERIES[0]?.subarray(0, HEADER_BYTES) ?? Buffer.alloc(0),
    Buffer.from("c00c00010001", "hex"),
  ]),
  Buffer.concat([
    QUERIES[0]?.subarray(0, HEADER_BYTES) ?? Buffer.alloc(0),
    Buffer.from("c00ec00c00010001", "hex"),
  ]),
];
const WORDS = [
  "c00c",
  "c000",
  "ffff",
  "3f",
  "40",
  "00",
  "00010001",
  "001c0001",
  "0000290200",
  "0005",
].map((hex) => Buffer.from(hex, "hex"));
const CLIENT = {
  namespace: "shop",
  network: "",
  searchDomains: [["shop", ...DOMAIN.split(".")], DOMAIN.split(".")],
};
const OPTIONS = { clusterDomain: ["cluster", "local"], ipv6: true, knowsAllEndpoints: true };
const state = new ProxyState({ network: "" });
state.apply(update({ services: [service(`web.shop.${DOMAIN}`, ["10.96.0.1", "fd96::1"])] }));

export const dnsMessage: FuzzTarget = {
  name: "dns-message",
  corpus: [...QUERIES, ...LOOPS, ...QUERIES.map((query) => makeAnswer(query, "192.0.2.1"))],
  words: WORDS,
  maxBytes: 4_096,
  check: (input) => {
    const header = readHeader(input);
    const question = readQuestion(input);
    assert.ok(question === undefined || question.end <= input.length);
    if (header === undefined) return "too short";
    const error = writeError(input, 2);
    assert.ok(error.length <= input.length);
    assert.equal(error.readUInt16BE(0), header.id);
    assert.equal(isAnswerTo(input, input), header.isResponse);
    for (const query of QUERIES) isAnswerTo(query, input);
    const parsed = readAddressQuery(input);
    return parsed === undefined ? (question ? "question" : "header") : checkAnswers(input, parsed);
  },
};

/** What we answer is what another implementation reads, and belongs to the question. */
function checkAnswers(query: Buffer, parsed: AddressQuery): string {
  const found = lookUp(state, parsed, CLIENT, OPTIONS);
  const many = { addresses: Array(100).fill("10.0.0.1"), strippedLabels: 1 };
  for (const answer of [found, many]) {
    if (answer === undefined) continue;
    for (const transport of ["udp", "tcp"] as const) {
      const written = writeAnswer(query, parsed, answer, transport);
      assert.ok(isAnswerTo(query, written));
      const { questions, flag_aa, flag_qr } = decode(written);
      assert.equal(questions?.[0]?.name.toLowerCase(), parsed.labels.join(".") || ".");
      assert.ok(flag_aa && flag_qr);
      if (transport === "udp") assert.ok(written.length <= 1232);
    }
  }
  return found === undefined ? "not ours" : "answered";
}

/** The stream of a TCP connection, in pieces as long as its own first bytes say. */
export const dnsFrames: FuzzTarget = {
  name: "dns-frames",
  corpus: [Buffer.concat(QUERIES.map(frame)), Buffer.from("0000000100", "hex")],
  words: ["0000", "0001", "ffff"].map((hex) => Buffer.from(hex, "hex")),
  check: (input) => {
    const reader = new FrameReader();
    const read: Buffer[] = [];
    for (let at = 0, i = 0; at < input.length; i++) {
      const end = at + 1 + ((input[i % 8] ?? 0) & 63);
      reader.push(input.subarray(at, end));
      at = end;
      for (let one = reader.next(); one !== undefined; one = reader.next()) read.push(one);
    }
    const framed = Buffer.concat(read.map(frame));
    assert.deepEqual(framed, input.subarray(0, framed.length));
    const rest = input.subarray(framed.length);
    assert.ok(rest.length < 2 || rest.length < 2 + rest.readUInt16BE(0), "a message was kept back");
    return `${Math.min(read.length, 9)} messages`;
  },
};

export const resolvConf: FuzzTarget = {
  name: "resolv-conf",
  corpus: [Buffer.from("search shop.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\n")],
  words: ["nameserver ", "search ", "domain ", "#", ";", "\n", "\r", "\t", "fe80::1%eth0", "."],
  check: (input) => {
    const { nameservers, searchDomains } = parseResolvConf(input.toString());
    assert.equal(new Set(nameservers).size, nameservers.length);
    const lines = nameservers.map((ip) => `nameserver ${ip}`);
    const search = `search ${searchDomains.map((labels) => labels.join(".")).join(" ")}`;
    const again = parseResolvConf([...lines, search].join("\n"));
    // A label with a comment sign in it cannot be written again.
    if (!/[#;]/.test(search)) assert.deepEqual(again, { nameservers, searchDomains });
    return `${nameservers.length} ${searchDomains.length}`;
  },
};
