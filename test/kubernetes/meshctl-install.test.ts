/** `meshctl install`, `upgrade` and `uninstall` against a real API server. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { getObject } from "#common/kube-client/apply.ts";
import type { HttpKubeClient } from "#common/kube-client/http-kube-client.ts";
import { connectKubeconfig } from "#common/kube-client/kubeconfig.ts";
import { type InstallOptions, install } from "#meshctl/install/install.ts";
import type { Manifest } from "#meshctl/install/manifest.ts";
import { planRemoval, uninstall } from "#meshctl/install/uninstall.ts";
import { type KubernetesCluster, startKubernetes } from "./harness/cluster.ts";
import { waitFor } from "./harness/wait-for.ts";
import { crd, testInstallation } from "./meshctl-installation.ts";

const OPTIONS = { dryRun: false, forceConflicts: false, wait: true, timeoutMs: 60_000 };
const SETTINGS = { kind: "ConfigMap", namespace: "mesh-test", name: "settings" };

describe("an installation", () => {
  let cluster: KubernetesCluster;
  let client: HttpKubeClient;

  before(async () => {
    cluster = await startKubernetes();
    client = connectKubeconfig({ path: cluster.kubeconfig });
  });
  after(async () => {
    client?.close();
    await cluster?.stop();
  });

  let lines: string[] = [];
  async function run(manifests: readonly Manifest[], options: Partial<InstallOptions> = {}) {
    lines = [];
    await install(client, manifests, { ...OPTIONS, ...options }, (line) => void lines.push(line));
    return lines;
  }

  test("as a dry run shows what would come, and changes nothing", async () => {
    const lines = await run(testInstallation(), { dryRun: true });
    assert.ok(lines.includes("daemonset.apps/mesh-test/ztunnel created (dry run)"));
    assert.match(lines.join("\n"), /^\+ {2}one: "1"$/m);
    assert.equal(await getObject(client, { kind: "Namespace", name: "mesh-test" }), undefined);
  });

  test("makes everything in an order that works, and says so", async () => {
    await cluster.apply(crd("gadgets", false));
    const lines = await run([...testInstallation(), crd("gadgets")]);
    const made = lines.filter((line) => line.endsWith(" created"));
    assert.deepEqual(made, [
      "namespace/mesh-test created",
      "customresourcedefinition.apiextensions.k8s.io/widgets.test.ambientmesh.dev created",
      "serviceaccount/mesh-test/istiod created",
      "clusterrole.rbac.authorization.k8s.io/mesh-test created",
      "configmap/mesh-test/settings created",
      "deployment.apps/mesh-test/istiod created",
      "daemonset.apps/mesh-test/ztunnel created",
      "validatingwebhookconfiguration.admissionregistration.k8s.io/mesh-test created",
    ]);
    assert.ok(lines.some((line) => /gadgets.* kept: the cluster has its own/.test(line)));
    assert.ok(lines.includes("daemonset.apps/mesh-test/ztunnel: 0 of 0 nodes ready"));
  });

  test("again changes nothing", async () => {
    const lines = await run(testInstallation());
    assert.equal(lines.at(-1), "8 unchanged");
  });

  test("of something else changes that, and prunes what it no longer says", async () => {
    const next = testInstallation("ambient-mesh:0.2.0").filter(({ kind }) => kind !== "ConfigMap");
    await cluster.apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: {
        name: "of-a-user",
        namespace: "mesh-test",
        labels: { "app.kubernetes.io/part-of": "ambient-mesh" },
      },
    });
    const planned = await run(next, { dryRun: true });
    assert.match(planned.join("\n"), /^- {10}image: ambient-mesh:0.1.0$/m);
    const lines = await run(next);
    assert.ok(lines.includes("deployment.apps/mesh-test/istiod configured"));
    assert.ok(lines.includes("configmap/mesh-test/settings pruned"));
    assert.match(lines.at(-1) ?? "", /5 unchanged, 2 configured, 1 pruned/);
    assert.equal(await getObject(client, SETTINGS), undefined);
    assert.ok(await getObject(client, { ...SETTINGS, name: "of-a-user" }));
  });

  test("does not take a field from somebody else unless it is told to", async () => {
    await run(testInstallation());
    const patch = JSON.stringify({ data: { one: "by hand" } });
    await cluster.check([
      "-n",
      "mesh-test",
      "patch",
      "cm",
      "settings",
      "--type=merge",
      "-p",
      patch,
    ]);
    await assert.rejects(
      run(testInstallation()),
      (error: { code: string; message: string; hint: string }) => {
        assert.equal(error.code, "REFUSED");
        assert.match(error.message, /settings: a field is owned by others: .*\.data\.one/s);
        assert.match(error.hint, /--force-conflicts/);
        return true;
      },
    );
    const lines = await run(testInstallation(), { forceConflicts: true });
    assert.ok(lines.includes("configmap/mesh-test/settings configured"));
  });

  test("changes nothing at all where one object is refused", async () => {
    const [first, ...rest] = testInstallation("ambient-mesh:0.3.0");
    const bad = { ...first, webhooks: [{ name: "no dots" }] } as Manifest;
    await assert.rejects(run([bad, ...rest]), { code: "REFUSED" });
    const image = ["-n", "mesh-test", "get", "ds", "ztunnel", "-o=jsonpath={..image}"];
    assert.equal(await cluster.check(image), "ambient-mesh:0.1.0");
  });

  test("says what it waits for when that takes too long", async () => {
    const stuck = testInstallation().map((one) =>
      one.kind === "Deployment" ? { ...one, spec: { ...(one.spec as object), replicas: 1 } } : one,
    );
    await assert.rejects(
      run(stuck, { timeoutMs: 9_000 }),
      (error: { code: string; message: string }) => {
        assert.equal(error.code, "NOT_ROLLED_OUT");
        assert.match(error.message, /istiod: 0 of 1 ready.*no nodes available/s);
        return true;
      },
    );
    const before = lines.filter((line) => /^ {2}pod istiod-\S+: .*no nodes available/.test(line));
    assert.equal(before.length, 1);
  });

  test("is taken out again, but for CRDs and the namespace", async () => {
    await run(testInstallation());
    const lines: string[] = [];
    const options = { dryRun: false, force: false, timeoutMs: 60_000 };
    const removal = await planRemoval(client, false);
    await uninstall(client, removal, options, (line) => void lines.push(line));
    const [webhook, daemonSet, deployment] = lines;
    assert.match(webhook ?? "", /^validatingwebhookconfiguration.* deleted$/);
    assert.match(daemonSet ?? "", /^daemonset.* deleted$/);
    assert.match(deployment ?? "", /^deployment.* deleted$/);
    assert.ok(lines.some((line) => /^namespace\/mesh-test kept/.test(line)));
    const crds = await cluster.check(["get", "crds", "-o=name"]);
    assert.match(crds, /widgets/);
    const purged = await planRemoval(client, true);
    await uninstall(client, purged, options, () => undefined);
    // A CRD goes after the last object of its kind.
    const left = await waitFor("the definition to go", async () => {
      const names = await cluster.check(["get", "crds", "-o=name"]);
      return !/widgets/.test(names) && names;
    });
    // Somebody else's stays.
    assert.match(left, /gadgets/);
  });
});
