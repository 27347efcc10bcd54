/** The harness itself: API servers alone and side by side, their faults, and their end. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { deleteObject, getObject } from "#common/kube-client/apply.ts";
import { KubeApiError, type KubeClient } from "#common/kube-client/kube-client.ts";
import { run } from "#test/support/run.ts";
import { startKubernetes } from "./harness/cluster.ts";
import { useKubernetes } from "./harness/use-kubernetes.ts";
import { waitFor } from "./harness/wait-for.ts";

const cluster = useKubernetes({ nodes: 0 });

function configMap(name: string): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default" } };
}

/** The status of a watch that resumes at a version: its first line's, or the refusal's. */
async function resume(client: KubeClient, resourceVersion: string): Promise<number> {
  const path = "/api/v1/namespaces/default/configmaps";
  try {
    for await (const line of client.watch({ path, query: { resourceVersion } })) {
      const { type, object } = line as { type: string; object: { code?: number } };
      return type === "ERROR" ? (object.code ?? 0) : 200;
    }
  } catch (error) {
    if (error instanceof KubeApiError) return error.status;
    throw error;
  }
  return 0;
}

async function versionOfList(client: KubeClient): Promise<string> {
  const path = "/api/v1/namespaces/default/configmaps";
  const list = await client.request({ method: "GET", path, query: { limit: "1" } });
  return (list as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
}

test("clusters stand side by side, and nothing of one is left when it is stopped", async () => {
  const second = await startKubernetes();
  await cluster().apply(configMap("only-here"));
  const reference = { kind: "ConfigMap", namespace: "default", name: "only-here" };
  assert.ok(await getObject(cluster().client, reference));
  assert.equal(await getObject(second.client, reference), undefined);
  await second.stop();
  assert.equal(existsSync(second.logFolder), false);
  assert.equal((await run(["pgrep", "-f", second.name])).stdout, "");
  assert.ok(await deleteObject(cluster().client, reference));
});

test("an API server that was killed comes back with everything it knew", async () => {
  await cluster().apply(configMap("kept"));
  await cluster().faults.restartApiServer("SIGKILL");
  assert.match(await cluster().check(["get", "configmaps"]), /kept/);
});

test("after a compaction and a restart, old resource versions are gone", async () => {
  const old = await versionOfList(cluster().client);
  await cluster().apply(configMap("later"));
  assert.equal(await resume(cluster().client, old), 200);
  await cluster().faults.compactEtcd();
  await cluster().faults.restartApiServer();
  assert.equal(await resume(cluster().client, old), 410);
});

test("dropped packets stall requests until they pass again", async () => {
  const { client } = cluster();
  const request = { method: "GET", path: "/version" } as const;
  await client.request(request);
  const end = await cluster().faults.dropPackets([cluster().hostAddress]);
  await assert.rejects(client.request({ ...request, timeoutMs: 1_000 }), KubeApiError);
  await end();
  await waitFor("an answer", () => client.request(request));
});

test("a cluster ends with the process that started it, even when that is killed", async () => {
  const script = join(import.meta.dirname, "harness/up.ts");
  const child = spawn(process.execPath, [script, "0"], { stdio: ["ignore", "pipe", "inherit"] });
  const [text] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  const folder = join(text.match(/logs in (.*)/)?.[1] ?? "", "..");
  assert.ok(existsSync(folder));
  child.kill("SIGKILL");
  await waitFor("its folder to go", () => !existsSync(folder));
  // The keeper, which has taken the folder away, ends last.
  const left = async () => (await run(["pgrep", "-f", folder])).stdout;
  await waitFor("its processes to end", async () => (await left()) === "");
});
