import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ip } from "#common/mesh-state/test-records.ts";
import { type NameAnswer, SERVFAIL, writeAnswer, writeError } from "./answer.ts";
import { decode, makeQuery, opt, type QueryOptions, records } from "./dns-fixtures.ts";
import { readAddressQuery } from "./message.ts";

function answerTo(
  options: QueryOptions,
  addresses: readonly string[],
  fields: { strippedLabels?: number; transport?: "udp" | "tcp" } = {},
): Buffer {
  const query = makeQuery(options);
  const parsed = readAddressQuery(query);
  assert.ok(parsed !== undefined);
  const answer: NameAnswer = {
    addresses: addresses.map(ip),
    strippedLabels: fields.strippedLabels,
  };
  return writeAnswer(query, parsed, answer, fields.transport ?? "udp");
}

const MANY = Array.from({ length: 100 }, (_, i) => `10.0.0.${i}`);

describe("an answer", () => {
  test("has the question letter by letter, authority, recursion, and 30 seconds to live", () => {
    const message = answerTo({ name: "Web.SHOP.svc.cluster.local" }, ["10.96.0.1", "10.96.0.2"]);
    const answer = decode(message);
    assert.equal(answer.id, 4711);
    assert.equal(answer.questions?.[0]?.name, "Web.SHOP.svc.cluster.local");
    assert.deepEqual(records(message), [
      "Web.SHOP.svc.cluster.local A 10.96.0.1",
      "Web.SHOP.svc.cluster.local A 10.96.0.2",
    ]);
    const flags = [answer.flag_qr, answer.flag_aa, answer.flag_rd, answer.flag_ra, answer.flag_tc];
    assert.deepEqual(flags, [true, true, true, true, false]);
    assert.equal(answer.rcode, "NOERROR");
    for (const record of answer.answers ?? []) assert.equal("ttl" in record && record.ttl, 30);
    assert.deepEqual(answer.additionals, []);
  });

  test("of IPv6 addresses has AAAA records", () => {
    assert.deepEqual(records(answerTo({ name: "web", type: "AAAA" }, ["fd00::1"])), [
      "web AAAA fd00::1",
    ]);
  });

  test("without addresses is no error", () => {
    const answer = decode(answerTo({ name: "web", type: "AAAA" }, []));
    assert.equal(answer.rcode, "NOERROR");
    assert.deepEqual(answer.answers, []);
  });

  test("to a name with a search domain says by CNAME what the name is", () => {
    const name = "API.example.com.shop.svc.cluster.local";
    assert.deepEqual(records(answerTo({ name }, ["240.240.0.1"], { strippedLabels: 3 })), [
      `${name} CNAME API.example.com`,
      "API.example.com A 240.240.0.1",
    ]);
  });

  test("to a query with EDNS has EDNS, with the DNSSEC bit as asked", () => {
    for (const dnssecOk of [true, false]) {
      const query = { name: "web", additionals: opt(4096, dnssecOk) };
      const [record] = decode(answerTo(query, ["10.96.0.1"])).additionals ?? [];
      assert.equal(record?.type, "OPT");
      assert.equal(record?.type === "OPT" && record.flag_do, dnssecOk);
      assert.equal(record?.type === "OPT" && record.udpPayloadSize, 1232);
    }
  });

  test("that does not fit is cut between records and marked, but not by TCP", () => {
    const plain = answerTo({ name: "web.shop" }, MANY);
    assert.ok(plain.length <= 512 && plain.length > 512 - 16);
    assert.equal(decode(plain).flag_tc, true);
    const edns = answerTo({ name: "web.shop", additionals: opt(4096) }, MANY);
    assert.ok(edns.length <= 1232 && edns.length > 1232 - 16);
    assert.equal(decode(edns).flag_tc, true);
    const tcp = answerTo({ name: "web.shop" }, MANY, { transport: "tcp" });
    assert.equal(decode(tcp).flag_tc, false);
    assert.equal(records(tcp).length, MANY.length);
  });
});

describe("an error", () => {
  test("repeats id, operation and question", () => {
    const answer = decode(writeError(makeQuery({ name: "web.shop", type: "SRV" }), SERVFAIL));
    assert.equal(answer.id, 4711);
    assert.equal(answer.rcode, "SERVFAIL");
    assert.deepEqual(
      answer.questions?.map(({ name, type }) => `${name} ${type}`),
      ["web.shop SRV"],
    );
  });

  test("to what has no question that can be read has none", () => {
    const query = Buffer.from("123428000001000000000000c00c", "hex");
    assert.equal(writeError(query, SERVFAIL).toString("hex"), "1234a8820000000000000000");
  });
});
