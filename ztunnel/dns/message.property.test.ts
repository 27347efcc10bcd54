/** Whatever comes from a socket is read or refused, and never more than once around. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ip } from "#common/mesh-state/test-records.ts";
import { writeAnswer, writeError } from "./answer.ts";
import { isAnswerTo } from "./answer-match.ts";
import { decode, makeQuery, records } from "./dns-fixtures.ts";
import { FrameReader, frame } from "./frame-reader.ts";
import { HEADER_BYTES, readAddressQuery, readHeader, readQuestion } from "./message.ts";

const bytes = fc.uint8Array({ maxLength: 600 }).map((array) => Buffer.from(array));

/** A good query in which some bytes have been replaced, or that has been cut. */
const damaged = fc
  .tuple(
    fc.constantFrom("web", "web.shop.svc.cluster.local", "a.b.c.d.e.f"),
    fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 }),
    fc.nat(80),
  )
  .map(([name, edits, cut]) => {
    const query = makeQuery({ name });
    for (const [at, value] of edits) if (at < query.length) query[at] = value;
    return query.subarray(0, Math.max(1, query.length - (cut > 40 ? 0 : cut)));
  });

const anything = fc.oneof(bytes, damaged);
const label = fc.stringMatching(/^[a-z0-9_-]{1,63}$/);
const name = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join("."));

test("reading never throws, and never reads beyond the message", () => {
  fc.assert(
    fc.property(anything, (message) => {
      readHeader(message);
      const question = readQuestion(message);
      if (question !== undefined) assert.ok(question.end <= message.length);
      const query = readAddressQuery(message);
      if (query !== undefined) assert.ok(query.questionEnd <= message.length);
    }),
  );
});

test("an error can be written to whatever has a header, and belongs to it", () => {
  fc.assert(
    fc.property(anything, (message) => {
      if (message.length < HEADER_BYTES) return;
      const answer = writeError(message, 2);
      assert.equal(answer.readUInt16BE(0), message.readUInt16BE(0));
      assert.ok(answer.length <= message.length);
      assert.equal((answer[2] ?? 0) & 0x80, 0x80);
    }),
  );
});

test("no message makes the matching of answers throw, and a query is no answer", () => {
  fc.assert(
    fc.property(anything, anything, (query, answer) => {
      isAnswerTo(query, answer);
      assert.equal(isAnswerTo(query, query), readHeader(query)?.isResponse === true);
    }),
  );
});

test("an answer is what another implementation reads out of it, and belongs to its query", () => {
  const addresses = fc.array(
    fc.tuple(fc.nat(255), fc.nat(255)).map(([a, b]) => ip(`10.0.${a}.${b}`)),
    { maxLength: 100 },
  );
  fc.assert(
    fc.property(name, addresses, fc.constantFrom("udp", "tcp"), (host, list, transport) => {
      const query = makeQuery({ name: host });
      const parsed = readAddressQuery(query);
      assert.ok(parsed !== undefined);
      const answer = { addresses: list, strippedLabels: undefined };
      const written = writeAnswer(query, parsed, answer, transport as "udp" | "tcp");
      assert.ok(isAnswerTo(query, written));
      const { flag_tc: truncated } = decode(written);
      const expected = list.map((address) => `${host} A ${address}`);
      assert.deepEqual(
        records(written),
        expected.slice(0, truncated ? records(written).length : undefined),
      );
      if (transport === "udp") assert.ok(written.length <= 512);
      else assert.equal(truncated, false);
    }),
  );
});

test("frames come out as they went in, however the stream is cut", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 10 });
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 9 })), (list, cuts) => {
      const stream = Buffer.concat(list.map(frame));
      const reader = new FrameReader();
      const read: Buffer[] = [];
      for (let at = 0, i = 0; at < stream.length; i++) {
        const end = at + (cuts[i % Math.max(1, cuts.length)] ?? 7);
        reader.push(stream.subarray(at, end));
        at = end;
        for (let one = reader.next(); one !== undefined; one = reader.next()) read.push(one);
      }
      assert.deepEqual(
        read.map((one) => [...one]),
        list.map((one) => [...one]),
      );
    }),
  );
});
