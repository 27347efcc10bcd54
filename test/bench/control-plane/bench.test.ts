import assert from "node:assert/strict";
import { test } from "node:test";
import { deltaAggregatedResources } from "#common/xds/discovery-rpc.ts";
import { ADDRESS_TYPE } from "#common/xds/type-urls.ts";
import { runBench } from "./bench.ts";
import { countResponse } from "./count-response.ts";
import { parseOptions } from "./options.ts";
import { formatResult } from "./report.ts";

test("a small mesh goes through the whole bench, with a herd of 50", async () => {
  const args = ["--pods", "120", "--services", "20", "--policies", "20", "--herd", "50"];
  const options = parseOptions([...args, "--changes", "5", "--no-ztunnel"]);
  assert.ok(options);
  const result = await runBench(options, () => undefined);
  // Pods, services, policies, and the ztunnels themselves.
  const everything = 120 + 20 + 20 + 51;
  assert.equal(result.fullSync.resources, everything);
  assert.equal(result.noOpEdits.resourcesPushed, 0);
  assert.equal(result.reconnect.resourcesResent, 0);
  assert.ok(result.reconnect.bytes < 1_000, `${result.reconnect.bytes} bytes to say: nothing new`);
  assert.ok(result.podChange.bytesEach < 2_000, `${result.podChange.bytesEach} bytes for one pod`);
  // Each knows everything, and the pods of its own node to capture: two or three of 120.
  assert.deepEqual(result.herd.resources, [everything + 2, everything + 3]);
  assert.equal(result.herd.retries, 0);
  assert.match(formatResult(result), /herd of 50, all synced/);
});

test("a response is counted as it would be decoded", () => {
  const resource = (name: string) => ({
    name,
    aliases: ["a"],
    version: "1",
    typeUrl: ADDRESS_TYPE,
    value: new Uint8Array(300),
  });
  const message = deltaAggregatedResources.responseSerialize({
    typeUrl: ADDRESS_TYPE,
    nonce: "17",
    systemVersionInfo: "",
    resources: ["x", "y", "z"].map(resource),
    removedResources: ["gone"],
  });
  const counted = countResponse(message);
  const { length: bytes } = message;
  assert.deepEqual(counted, { typeUrl: ADDRESS_TYPE, nonce: "17", resources: 3, bytes });
});

test("options that are none say what there is", () => {
  assert.equal(parseOptions(["--help"]), undefined);
  assert.equal(parseOptions([])?.pods, 10_000);
  for (const args of [["--pods", "0"], ["--herd", "x"], ["--nonsense"]]) {
    assert.throws(() => parseOptions(args), { code: "BAD_OPTION" });
  }
});
