/** Responses that many streams share are encoded once, and read as any other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type DeltaDiscoveryResponse, deltaAggregatedResources } from "./discovery-rpc.ts";
import { ADDRESS_TYPE } from "./type-urls.ts";

const { responseSerialize, responseDeserialize } = deltaAggregatedResources;

test("a shared list reads as one that is not, whatever is said beside it", () => {
  const resources = ["a", "b"].map((name) => ({
    name,
    aliases: [`alias-of-${name}`],
    version: "1",
    typeUrl: ADDRESS_TYPE,
    value: Buffer.from(name),
  }));
  const messages = new Set<Buffer>();
  for (const [nonce, removed] of [["1"], ["1"], ["22", "gone"], ["1"]]) {
    const response: DeltaDiscoveryResponse = {
      typeUrl: ADDRESS_TYPE,
      nonce: nonce ?? "",
      systemVersionInfo: "",
      resources,
      removedResources: removed === undefined ? [] : [removed],
    };
    const shared = responseSerialize({ ...response, shared: true });
    messages.add(shared);
    assert.deepEqual(responseDeserialize(shared), responseDeserialize(responseSerialize(response)));
  }
  assert.equal(messages.size, 3, "the same again is the same message");
});
