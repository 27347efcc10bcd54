/** A waypoint that is replaced or scaled while requests pass through it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import type { Condition } from "#common/kubernetes/objects.ts";
import { startCluster, type TestCluster } from "#test/support/cluster.ts";
import { WEB_PODS } from "#test/support/web-pods.ts";

const WAIT = { timeoutMs: 60_000 };
const USE = "labels: {istio.io/dataplane-mode: ambient, istio.io/use-waypoint: waypoint}";
/**
 * Requests in rows, on connections that are kept and on new ones, until something is written to it.
 * Prints the status or the error of each.
 */
const CLIENT = `
const http = require("node:http");
const kept = () => new http.Agent({ keepAlive: true, maxSockets: 1 });
let stopping = false;
process.stdin.on("data", () => { stopping = true; });
const call = (agent) => new Promise((resolve) => {
  const request = http.get({ host: "web.shop", agent, timeout: 10_000 }, (response) => {
    response.resume().on("end", () => resolve(String(response.statusCode)));
    response.on("error", (error) => resolve(error.message));
  });
  request.on("timeout", () => request.destroy(new Error("timeout")));
  request.on("error", (error) => resolve(error.message));
});
const row = async (agent) => {
  while (!stopping) {
    console.log(await call(agent));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};
Promise.all([kept(), kept(), kept(), kept(), false, false].map(row)).then(() => process.exit(0));
`;

describe("a waypoint under load", () => {
  let cluster: TestCluster;

  before(async () => {
    const enrolled = WEB_PODS.replace("{name: shop}", `{name: shop, ${USE}}`);
    cluster = await startCluster({ objects: [enrolled, gateway("one"), ...parameters(1)] });
    await cluster.until(
      "the waypoint is programmed",
      async () => (await ready()).length === 1,
      WAIT,
    );
  });
  after(() => cluster?.stop());

  const ready = async () => {
    const pods = await cluster.podsOf("shop/waypoint");
    const isReady = ({ type, status }: Condition) => type === "Ready" && status === "True";
    return pods.filter(({ status }) => status?.conditions?.some(isReady));
  };
  const names = async () => (await ready()).map(({ metadata }) => metadata.name).sort();

  const during = async (work: () => Promise<void>): Promise<Record<string, number>> => {
    const client = await cluster.spawn("shop/client", ["node", "-e", CLIENT]);
    let output = "";
    client.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    // Pods that are ready are not yet known to every ztunnel: all rows are answered first.
    const answered = async () => output.endsWith("200\n".repeat(50));
    await cluster.until("requests are answered", answered, WAIT);
    const before = output.length;
    await work();
    const so = output.length;
    await cluster.until("more are answered", async () => output.length > so + 100, WAIT);
    client.stdin.write("stop\n");
    await once(client, "close");
    const outcomes: Record<string, number> = {};
    for (const line of output.slice(before).trim().split("\n")) {
      outcomes[line] = (outcomes[line] ?? 0) + 1;
    }
    return outcomes;
  };

  test("is replaced without a failed request", async () => {
    const old = await names();
    const outcomes = await during(async () => {
      await cluster.apply(gateway("two"));
      await cluster.until(
        "another pod is there",
        async () => {
          const now = await names();
          const all = await cluster.list("Pod", "shop");
          const gone = !all.some(({ metadata }) => metadata.name === old[0]);
          return now.length === 1 && now[0] !== old[0] && gone;
        },
        WAIT,
      );
    });
    assert.deepEqual(Object.keys(outcomes), ["200"], JSON.stringify(outcomes));
  });

  test("is scaled up and down without a failed request", async () => {
    const outcomes = await during(async () => {
      await cluster.apply(...parameters(3));
      await cluster.until("three pods are ready", async () => (await names()).length === 3, WAIT);
      await cluster.apply(...parameters(1));
      await cluster.until(
        "one pod is left",
        async () => {
          const all = await cluster.list("Pod", "shop");
          const left = all.filter(({ metadata }) => metadata.name.startsWith("waypoint-"));
          return left.length === 1;
        },
        WAIT,
      );
    });
    assert.deepEqual(Object.keys(outcomes), ["200"], JSON.stringify(outcomes));
  });
});

/** `mark` is on its pods: another one replaces them. */
function gateway(mark: string): object {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name: "waypoint", namespace: "shop" },
    spec: {
      gatewayClassName: "istio-waypoint",
      listeners: [{ name: "mesh", port: 15_008, protocol: "HBONE" }],
      infrastructure: {
        annotations: { mark },
        parametersRef: { group: "", kind: "ConfigMap", name: "size" },
      },
    },
  };
}

function parameters(replicas: number): readonly object[] {
  const deployment = `spec: {replicas: ${replicas}}`;
  const metadata = { name: "size", namespace: "shop" };
  return [{ apiVersion: "v1", kind: "ConfigMap", metadata, data: { deployment } }];
}
