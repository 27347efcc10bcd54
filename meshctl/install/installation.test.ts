/** What `meshctl install` is told comes to the objects that it applies. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { renderInstallation, versionOf } from "./installation.ts";
import type { Manifest } from "./manifest.ts";

const find = (manifests: readonly Manifest[], kind: string, name: string): Manifest => {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
  assert.ok(found, `${kind} ${name}`);
  return found;
};

const resourceNames = ({ rules }: Manifest): readonly string[] =>
  (rules as readonly { readonly resourceNames?: readonly string[] }[]).flatMap(
    (rule) => rule.resourceNames ?? [],
  );

describe("an installation", () => {
  test("of another image has it in every program, and its tag is the version", async () => {
    const manifests = await renderInstallation({
      profile: "base",
      image: "r.example:5000/m/a:2.0",
    });
    for (const [kind, name] of [
      ["Deployment", "istiod"],
      ["DaemonSet", "ztunnel"],
    ] as const) {
      assert.match(JSON.stringify(find(manifests, kind, name)), /"r\.example:5000\/m\/a:2\.0"/);
    }
    assert.equal(versionOf(manifests), "2.0");
  });

  test("of a revision lets that revision lead and register its own webhook", async () => {
    const manifests = await renderInstallation({ profile: "base", revision: "blue" });
    const istiod = JSON.stringify(find(manifests, "Deployment", "istiod"));
    assert.match(istiod, /"--revision","blue"/);
    assert.match(istiod, /"istio\.io\/rev":"blue"/);
    const webhook = "istio-validator-istio-system-blue";
    find(manifests, "ValidatingWebhookConfiguration", webhook);
    assert.ok(resourceNames(find(manifests, "Role", "istiod")).includes("istiod-lite-leader-blue"));
    const clusterRole = find(manifests, "ClusterRole", "istiod-istio-system");
    assert.deepEqual(resourceNames(clusterRole), ["istio-ca-root-cert", webhook]);
  });

  test("of the default revision is one without any", async () => {
    const plain = await renderInstallation({ profile: "base" });
    assert.deepEqual(await renderInstallation({ profile: "base", revision: "default" }), plain);
  });

  test("of a profile that is not there names those that are", async () => {
    await assert.rejects(renderInstallation({ profile: "gke" }), (error: { hint: string }) => {
      assert.match(error.hint, /base, k3s, kind, kubeadm/);
      return true;
    });
  });
});
