import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createLogger } from "#common/telemetry/logger.ts";
import { encodeCapturedPod } from "#common/xds/encode-captured-pod.ts";
import { CAPTURED_POD_TYPE } from "#common/xds/type-urls.ts";
import { ZTUNNEL_ABSENT_MS } from "../limits.ts";
import type { PublishedResource } from "../registry/registry-update.ts";
import { AbsentZtunnels } from "./absent-ztunnels.ts";

const POD = {
  uid: "uid-1",
  name: "web",
  namespace: "shop",
  serviceAccount: "web",
  ips: [],
  workloadUid: "Kubernetes//Pod/shop/web",
  bypassInboundCapture: false,
  dnsCapture: true,
};

function start(t: TestContext): {
  absent: AbsentZtunnels;
  told: string[];
  wait(ms: number): Promise<void>;
} {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const told: string[] = [];
  const resource: PublishedResource = {
    typeUrl: CAPTURED_POD_TYPE,
    name: POD.uid,
    aliases: [],
    version: "1",
    value: encodeCapturedPod(POD),
    scope: "node1",
  };
  const absent = new AbsentZtunnels({
    resources: { all: () => [resource] },
    writer: {
      setPodAnnotations: async ({ namespace, name }) => void told.push(`${namespace}/${name}`),
      recordEvent: async ({ kind, name }) => void told.push(`${kind} ${name}`),
    },
    logger: createLogger({ level: "error", format: "text", write: () => undefined }),
  });
  const wait = async (ms: number): Promise<void> => {
    t.mock.timers.tick(ms);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  return { absent, told, wait };
}

test("a node whose last ztunnel stays away is told of, with its captured pods", async (t) => {
  const { absent, told, wait } = start(t);
  absent.joined("node1");
  absent.left("node1");
  await wait(ZTUNNEL_ABSENT_MS - 1);
  assert.deepEqual(told, []);
  await wait(1);
  assert.deepEqual(told, ["Node node1", "shop/web"]);
});

test("one that comes back in time, or has a successor, is not", async (t) => {
  const { absent, told, wait } = start(t);
  absent.joined("node1");
  absent.left("node1");
  absent.joined("node1");
  absent.joined("node1");
  absent.left("node1");
  await wait(ZTUNNEL_ABSENT_MS * 2);
  assert.deepEqual(told, []);
});

test("nothing is said of nodes without captured pods, nor after the end", async (t) => {
  const { absent, told, wait } = start(t);
  absent.joined("node2");
  absent.left("node2");
  await wait(ZTUNNEL_ABSENT_MS);
  absent.joined("node1");
  absent.left("node1");
  absent.close();
  await wait(ZTUNNEL_ABSENT_MS);
  assert.deepEqual(told, []);
});
