/** meshctl install, upgrade, uninstall and check where a real API server is in the way. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, describe, test } from "node:test";
import { parse, stringify } from "yaml";
import { ROOT } from "../house/tree.ts";
import { useKubernetes } from "./harness/use-kubernetes.ts";
import { waitFor } from "./harness/wait-for.ts";

const MAIN = join(ROOT, "meshctl/main.ts");

interface Kubeconfig {
  readonly users: readonly { readonly name: string; readonly user: unknown }[];
}

describe("meshctl", () => {
  const cluster = useKubernetes({});
  const folder = mkdtempSync(join(tmpdir(), "meshctl-refusals-"));
  after(() => rmSync(folder, { recursive: true }));

  function run(args: readonly string[], kubeconfig = cluster().kubeconfig) {
    return new Promise<{ status: unknown; text: string }>((resolve) => {
      const all = [MAIN, ...args, "--kubeconfig", kubeconfig];
      execFile(process.execPath, all, (error, stdout, stderr) => {
        resolve({ status: error === null ? 0 : error.code, text: stdout + stderr });
      });
    });
  }

  async function as(token: string): Promise<string> {
    const admin = parse(await cluster().check(["config", "view", "--raw"])) as Kubeconfig;
    const file = join(folder, `${token.slice(-12)}.yaml`);
    const users = admin.users.map(({ name }) => ({ name, user: { token } }));
    writeFileSync(file, stringify({ ...admin, users }), { mode: 0o600 });
    return file;
  }

  afterEach(async () => {
    await cluster().check(["delete", "namespace", "istio-system", "--ignore-not-found", "--wait"]);
  });

  test("says that there is nothing to upgrade, to take out or to check", async () => {
    const upgrade = await run(["upgrade"]);
    assert.equal(upgrade.status, 1);
    assert.match(upgrade.text, /no mesh is installed in this cluster\nnext: meshctl install/);
    const uninstall = await run(["uninstall"]);
    assert.equal(uninstall.status, 0);
    assert.match(uninstall.text, /nothing of a mesh is in context /);
    const check = await run(["check"]);
    assert.equal(check.status, 1);
    assert.match(check.text, /nothing of it is there: meshctl install/);
  });

  test("is told of a token that nobody knows once, not for every object", async () => {
    const { status, text } = await run(["install"], await as("not-a-token"));
    assert.equal(status, 1);
    assert.match(text, /Unauthorized\nnext: check the token or client certificate/);
    assert.equal(text.match(/Unauthorized/g)?.length, 1);
  });

  test("names what somebody without permissions may not do, and changes nothing", async () => {
    await cluster().check(["create", "serviceaccount", "nobody", "-n", "default"]);
    const token = await cluster().check(["create", "token", "nobody", "-n", "default"]);
    const nobody = await as(token.trim());
    const install = await run(["install"], nobody);
    assert.match(install.text, /daemonset\.apps\/istio-system\/ztunnel: .* cannot get resource/);
    assert.match(install.text, /^next: meshctl check --pre says what is missing; nothing was/m);
    const uninstall = await run(["uninstall", "-y"], nobody);
    assert.match(uninstall.text, /cannot list resource.*\nnext: grant the verb named here/);
    const check = await run(["check", "--pre"], nobody);
    assert.match(check.text, /create.* roles\.rbac\.authorization\.k8s\.io in istio-system/);
    assert.match(check.text, /^\? nodes can capture$/m);
    for (const { status } of [install, uninstall, check]) assert.equal(status, 1);
  });

  test("leaves another mesh alone, whoever says --force-conflicts", async () => {
    const labels = { app: "istiod" };
    const template = { metadata: { labels }, spec: { containers: [{ name: "a", image: "b" }] } };
    await cluster().apply(
      { apiVersion: "v1", kind: "Namespace", metadata: { name: "istio-system" } },
      {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "istiod", namespace: "istio-system" },
        spec: { replicas: 0, selector: { matchLabels: labels }, template },
      },
    );
    const { status, text } = await run(["install", "--force-conflicts"]);
    assert.equal(status, 1);
    assert.match(text, /deployment\.apps\/istio-system\/istiod is there and not ours: /);
    assert.match(text, /^next: remove that mesh first, or install a half of ours/m);
    assert.equal(
      (await cluster().check(["get", "sa", "-n", "istio-system"])).includes("ztunnel"),
      false,
    );
  });

  test("waits for no namespace that is being deleted, and says what keeps it", async () => {
    const namespace = ["namespace", "istio-system"];
    await cluster().check(["create", ...namespace]);
    const map = ["configmap", "keeper", "-n", "istio-system"];
    await cluster().check(["create", ...map]);
    const finalizers = (value: unknown) => JSON.stringify({ metadata: { finalizers: value } });
    await cluster().check(["patch", ...map, "--type=merge", "-p", finalizers(["example.org/x"])]);
    await cluster().check(["delete", ...namespace, "--wait=false"]);
    const { status, text } = await run(["install"]);
    await cluster().check(["patch", ...map, "--type=merge", "-p", finalizers(null)]);
    assert.equal(status, 1);
    assert.match(text, /namespace istio-system is being deleted\nnext: wait until kubectl get/);
  });

  test("goes on with an installation that was interrupted, and knows what it was told", async () => {
    const told = ["--set", "profile=kind", "--set", "image=r.example/ambient-mesh:0.1.0"];
    assert.equal((await run(["install", "--no-wait", ...told])).status, 0);
    for (const object of ["daemonset/ztunnel", "service/istiod", "role/istiod"]) {
      await cluster().check(["delete", object, "-n", "istio-system"]);
    }
    const forgetful = await run(["upgrade", "--no-wait"]);
    assert.equal(forgetful.status, 1);
    assert.match(forgetful.text, /was installed with --set profile=kind --set image=r\.example/);
    const again = await run(["install", "--no-wait", ...told]);
    assert.equal(again.status, 0);
    assert.match(again.text, /daemonset\.apps\/istio-system\/ztunnel created/);
    assert.match(again.text, /3 created/);
    await waitFor("the DaemonSet", () =>
      cluster().check(["get", "daemonset/ztunnel", "-n", "istio-system"]),
    );
    const gone = await run(["uninstall", "-y", "--purge", "--force"]);
    assert.equal(gone.status, 0);
  });
});
