import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConfigMap, Namespace, ObjectChange } from "#common/kubernetes/objects.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { TestLeadership } from "#istiod-lite/config/kubernetes/leader/leader-fixture.ts";
import { RootConfigMaps } from "./root-config-maps.ts";
import { failure, WritableServerFixture } from "./writable-server-fixture.ts";

const ROOT = "istio-ca-root-cert";
const pathIn = (namespace: string): string => `/api/v1/namespaces/${namespace}/configmaps/${ROOT}`;

function namespace(name: string, deletionTimestamp?: string): ObjectChange {
  const metadata = { name, ...(deletionTimestamp !== undefined && { deletionTimestamp }) };
  const object: Namespace = { apiVersion: "v1", kind: "Namespace", metadata };
  return { key: `Namespace//${name}`, kind: "Namespace", object };
}

function configMap(name: string, pem: string | undefined): ObjectChange {
  const change = { key: `ConfigMap/${name}/${ROOT}`, kind: "ConfigMap" } as const;
  if (pem === undefined) return change;
  const metadata = { name: ROOT, namespace: name };
  const data = { "root-cert.pem": pem };
  const object: ConfigMap = { apiVersion: "v1", kind: "ConfigMap", metadata, data };
  return { ...change, object };
}

async function start(t: TestContext, isLeader = true) {
  const server = await WritableServerFixture.start(t);
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const logger = createLogger({ level: "info", format: "text", write });
  const leadership = new TestLeadership(isLeader);
  const roots = new RootConfigMaps({ client: server.client(t), leadership, logger });
  t.after(() => roots.close());
  const said = (name: string): string | undefined => {
    const found = server.get(pathIn(name)) as unknown as ConfigMap | undefined;
    return found?.data?.["root-cert.pem"];
  };
  const until = async (wanted: () => boolean): Promise<void> => {
    for (let tries = 0; !wanted(); tries++) {
      assert.ok(tries < 4_000, lines.join(""));
      await sleep(5);
    }
  };
  return { server, lines, leadership, roots, said, until };
}

describe("the root certificate in every namespace", () => {
  it("is there in old and new namespaces, and follows another CA", async (t) => {
    const { roots, said, until } = await start(t);
    roots.apply([namespace("a"), namespace("b")]);
    roots.setRoots("one");
    await until(() => said("a") === "one" && said("b") === "one");
    roots.apply([namespace("c")]);
    await until(() => said("c") === "one");
    roots.setRoots("two");
    await until(() => ["a", "b", "c"].every((name) => said(name) === "two"));
  });

  it("is not written where it is right, nor by who does not lead", async (t) => {
    const { server, leadership, roots, said, until } = await start(t, false);
    roots.apply([namespace("a"), namespace("b"), configMap("a", "one")]);
    roots.setRoots("one");
    await sleep(20);
    assert.deepEqual(server.asked, []);
    leadership.set(true);
    await until(() => said("b") === "one");
    assert.deepEqual(server.takeWrites(), [`PATCH ${pathIn("b")}`]);
  });

  it("is put back when somebody changes or deletes it, ever more slowly", async (t) => {
    const { server, roots, said, until } = await start(t);
    roots.apply([namespace("a")]);
    roots.setRoots("one");
    await until(() => said("a") === "one");
    server.remove(pathIn("a"));
    roots.apply([configMap("a", "one"), configMap("a", undefined)]);
    await until(() => said("a") === "one");
    server.takeWrites();
    roots.apply([configMap("a", "other")]);
    await sleep(50);
    assert.deepEqual(server.takeWrites(), [], "two writers who disagree take their time");
    await until(() => server.asked.length > 0);
  });

  it("is nobody's business in a namespace that goes", async (t) => {
    const { server, lines, roots, until } = await start(t);
    const why = "unable to create new content in namespace a because it is being terminated";
    server.answer = ({ path }) =>
      path === pathIn("a")
        ? failure(403, "Forbidden", why)
        : path === pathIn("b")
          ? failure(404, "NotFound", 'namespaces "b" not found')
          : undefined;
    roots.setRoots("one");
    roots.apply([namespace("a"), namespace("b"), namespace("c", "2026-01-01T00:00:00Z")]);
    await until(() => server.asked.length === 2);
    await roots.close();
    assert.deepEqual([server.asked.length, lines], [2, []]);
  });

  it("is tried again where it cannot be written", async (t) => {
    const { server, lines, roots, said, until } = await start(t);
    let failures = 1;
    server.answer = () => (failures-- > 0 ? failure(500, "InternalError") : undefined);
    roots.setRoots("one");
    roots.apply([namespace("a")]);
    await until(() => said("a") === "one");
    assert.match(lines.join(""), /istio-ca-root-cert not written; trying again/);
  });
});
