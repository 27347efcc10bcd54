import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConnectionBatch } from "#common/telemetry/connection-record.ts";
import type { ConnectionMeta } from "./connection-tracker.ts";
import { TelemetryBatcher } from "./telemetry-batch.ts";

const META: ConnectionMeta = {
  reporter: "source",
  sourceAddress: undefined,
  source: undefined,
  sourceIdentity: undefined,
  destinationAddress: undefined,
  dialledAddress: undefined,
  hboneAddress: undefined,
  destination: undefined,
  destinationIdentity: undefined,
  service: undefined,
  security: "unknown",
};
const BYTES = { fromClient: 3, fromServer: 5 };
const NONE = { fromClient: 0, fromServer: 0 };

function batcher() {
  const batches: ConnectionBatch[] = [];
  const made = new TelemetryBatcher(
    (batch) => batches.push(batch),
    (error) => assert.fail(String(error)),
  );
  return { made, batches };
}

test("a connection that begins and ends within a batch is one record", () => {
  const { made, batches } = batcher();
  const [short, long] = [{ ...META }, { ...META }];
  made.opened(short);
  made.opened(long);
  made.closed(short, BYTES, BYTES, 1, undefined);
  made.flush();
  const [batch] = batches;
  assert.deepEqual(
    batch?.records.map((record) => [record.event, "opened" in record && record.opened]),
    [
      ["opened", false],
      ["closed", true],
    ],
  );
  assert.equal(batch?.labels.length, 1);
  assert.ok(batch?.records.every(({ labels }) => labels === batch.labels[0]?.[0]));
});

test("a connection that ends in a later batch was told of when it began", () => {
  const { made, batches } = batcher();
  made.opened(META);
  made.progressed(META, BYTES);
  made.flush();
  made.closed(META, BYTES, NONE, 1, undefined);
  made.flush();
  const told = batches.map(({ records }) => records.map(({ event }) => event));
  assert.deepEqual(told, [["opened", "bytes"], ["closed"]]);
  assert.ok(batches[1]?.records.every((record) => !("opened" in record)));
});
