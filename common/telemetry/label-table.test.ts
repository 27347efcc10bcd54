import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConnectionBatch, ConnectionRecord } from "./connection-record.ts";
import { LabelInterner, LabelTable } from "./label-table.ts";
import { INTERNED_LABELS } from "./limits.ts";
import { connectionLabels, endpoint } from "./test-connections.ts";

const labelsOf = (name: string) => connectionLabels({ source: endpoint(name) });

function batch(interner: LabelInterner, records: readonly ConnectionRecord[]): ConnectionBatch {
  return structuredClone({ ...interner.takeFresh(), records, acceptFailures: 0 });
}

function read(table: LabelTable, from: ConnectionBatch): string[] {
  const names: string[] = [];
  table.read(from, (_, labels) => void names.push(labels.source.workload));
  return names;
}

test("a label set is sent once, and found by its number in later batches", () => {
  const interner = new LabelInterner();
  const table = new LabelTable();
  const opened = (name: string): ConnectionRecord => ({
    event: "opened",
    labels: interner.intern(name, () => labelsOf(name)),
  });
  const records = [opened("a"), opened("b"), opened("a")];
  const first = batch(interner, records);
  assert.equal(first.labels.length, 2);
  assert.deepEqual(read(table, first), ["a", "b", "a"]);
  const later = [opened("b")];
  const second = batch(interner, later);
  assert.equal(second.labels.length, 0);
  assert.deepEqual(read(table, second), ["b"]);
});

test("at the bound the old numbers are forgotten on both ends, and no record loses its labels", () => {
  const interner = new LabelInterner();
  const table = new LabelTable();
  const seen: string[] = [];
  const sent: string[] = [];
  for (let round = 0; round < 5; round++) {
    const records: ConnectionRecord[] = [];
    for (let i = 0; i < INTERNED_LABELS / 2 + 7; i++) {
      const name = `${round % 3}-${i}`;
      records.push({ event: "opened", labels: interner.intern(name, () => labelsOf(name)) });
      sent.push(name);
    }
    seen.push(...read(table, batch(interner, records)));
  }
  assert.deepEqual(seen, sent);
});

test("a number that was never announced is passed over", () => {
  const records: ConnectionRecord[] = [{ event: "opened", labels: 99 }];
  const unknown = { labels: [], forgetLabelsBelow: 0, records, acceptFailures: 0 };
  assert.deepEqual(read(new LabelTable(), unknown), []);
});
