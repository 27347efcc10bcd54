/**
 * Istio's own istioctl, as it is, on a cluster with this mesh: INTEROP_ISTIOCTL, which
 * `npm run test:interop -- --istioctl PATH` sets.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { VERSION } from "#common/runtime/version.ts";
import { ROOT } from "../house/tree.ts";
import { useKubernetes } from "../kubernetes/harness/use-kubernetes.ts";
import { waitFor } from "../kubernetes/harness/wait-for.ts";
import { installMesh } from "../kubernetes/mesh/install.ts";
import { meshImage } from "../kubernetes/mesh/mesh-image.ts";
import { allowOnly } from "../kubernetes/mesh/objects.ts";

const istioctl = process.env.INTEROP_ISTIOCTL;
if (istioctl === undefined) {
  throw new Error("INTEROP_ISTIOCTL is not set: npm run test:interop -- --istioctl PATH");
}

describe("istioctl, on a cluster of two nodes", () => {
  const cluster = useKubernetes(
    async () => ({ nodes: 2, images: [await meshImage()] }),
    async (started) => {
      await installMesh(started);
      await started.check(["apply", "-k", join(ROOT, "manifests/samples/kubernetes")]);
      for (const name of ["catalog", "storefront"]) await started.rolledOut(`shop/deploy/${name}`);
      await started.apply(allowOnly("shop", "catalog", "storefront"));
      await waitFor("storefront to be answered", async () =>
        /^200 .*\n$/.test(
          await started.check(["logs", "-n", "shop", "deploy/storefront", "--tail=1"]),
        ),
      );
    },
  );

  function run(program: string, args: readonly string[]) {
    return new Promise<string>((resolve, reject) => {
      const env = { ...process.env, KUBECONFIG: cluster().kubeconfig };
      execFile(program, args, { env }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`${program} ${args.join(" ")}: ${stdout}${stderr}`));
      });
    });
  }
  const theirs = (...args: readonly string[]) => run(istioctl, args);
  const ours = (...args: readonly string[]) =>
    run(process.execPath, [
      join(ROOT, "meshctl/main.ts"),
      ...args,
      ...["--kubeconfig", cluster().kubeconfig],
    ]);

  for (const kind of ["workload", "service", "policy"]) {
    test(`ztunnel-config ${kind} shows what meshctl shows`, async () => {
      const args = ["ztunnel-config", kind, "--node", "node1"];
      const trimmed = (text: string) => text.replace(/ +$/gm, "");
      assert.equal(trimmed(await theirs(...args)), trimmed(await ours(...args)));
    });
  }

  test("ztunnel-config workload knows who is in the mesh, also by a pod's name", async () => {
    const all = await theirs("ztunnel-config", "workload");
    assert.match(all, /^shop +catalog-\S+ +\S+ +node\d +None +HBONE *$/m);
    const args = ["get", "pods", "-n", "shop", "-l", "app=catalog", "-o", "name"];
    const [, pod] = (await cluster().check(args)).trim().split("/");
    const one = await theirs("ztunnel-config", "workload", `${pod}.shop`);
    assert.match(one, /^shop +catalog-/m);
  });

  test("ztunnel-config certificate lists identities with their roots", async () => {
    const text =
      (await theirs("ztunnel-config", "certificate", "--node", "node1")) +
      (await theirs("ztunnel-config", "certificate", "--node", "node2"));
    for (const name of ["catalog", "storefront"]) {
      const row = new RegExp(`ns/shop/sa/${name} +Leaf +Available +true `);
      assert.match(text, row);
    }
    assert.match(text, / Root +Available +true /);
  });

  test("ztunnel-config connections and all find their columns", async () => {
    const connections = await theirs("ztunnel-config", "connections", "--node", "node1");
    assert.match(connections, /^WORKLOAD +DIRECTION +LOCAL +REMOTE +REMOTE TARGET +PROTOCOL/m);
    const all = await theirs("ztunnel-config", "all", "--node", "node1");
    assert.match(all, /catalog[\s\S]*storefront/);
  });

  test("ztunnel-config log changes levels and says them", async () => {
    const set = await theirs("ztunnel-config", "log", "--node", "node1", "--level", "xds:debug");
    assert.match(set, /xds=debug/);
    await theirs("ztunnel-config", "log", "--node", "node1", "--reset");
  });

  test("version knows the control plane and every ztunnel", async () => {
    const text = await theirs("version");
    assert.ok(text.includes(`\ncontrol plane version: ${VERSION}\n`), text);
    assert.ok(text.includes(`\ndata plane version: ${VERSION} (2 proxies)\n`), text);
  });
});
