import assert from "node:assert/strict";
import { test } from "node:test";
import type { ListenerSink } from "./capture/listener-sink.ts";
import { Synced } from "./dns-wiring.ts";

type Added = Parameters<ListenerSink["add"]>;

const POD: Added[0] = {
  uid: "u1",
  name: "web",
  namespace: "shop",
  serviceAccount: "web",
  ips: [],
  workloadUid: "Kubernetes//Pod/shop/web",
  bypassInboundCapture: false,
  dnsCapture: false,
};
const REST = [
  { fd: -1, id: "1:1" },
  { outbound: [], inboundPlaintext: [], hbone: [] },
] as const;

function gated() {
  const served: string[] = [];
  const sink: ListenerSink = {
    add: async ({ name }) => void served.push(name),
    remove: () => Promise.resolve(),
  };
  const [synced, stopping] = [new Synced(), new AbortController()];
  return { served, synced, stopping, gate: synced.gate(sink, stopping.signal) };
}

test("a pod is served when the mesh is known, not before", async () => {
  const { served, synced, gate } = gated();
  const added = gate.add(POD, ...(REST as unknown as [Added[1], Added[2]]));
  await Promise.resolve();
  assert.deepEqual(served, []);
  synced.done();
  await added;
  assert.deepEqual(served, ["web"]);
});

test("a ztunnel that stops waits for no istiod: pods that still wait are refused", async () => {
  const { served, stopping, gate } = gated();
  const added = gate.add(POD, ...(REST as unknown as [Added[1], Added[2]]));
  stopping.abort();
  await assert.rejects(added, /shop\/web waited for istiod/);
  assert.deepEqual(served, []);
});
