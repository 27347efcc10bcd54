/** `meshctl waypoint` as people run it, on a cluster whose folder it changes. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startCluster, type TestCluster } from "#test/support/cluster.ts";
import { namespace } from "#test/support/objects.ts";
import { run } from "#test/support/run.ts";

const MESHCTL = fileURLToPath(new URL("main.ts", import.meta.url));

let cluster: TestCluster;
let name: string;

before(async () => {
  cluster = await startCluster({ objects: [namespace("shop", "ambient")] });
  ({ name } = await cluster.client.info());
  // A file as people write them: it stays theirs.
  const text = "# ours\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: bank # the bank\n";
  writeFileSync(join(cluster.folder, "bank.yaml"), text);
  await cluster.apply();
});

after(() => cluster?.stop());

async function waypoint(...argv: string[]) {
  return run([process.execPath, MESHCTL, "waypoint", ...argv], {
    env: { PATH: process.env.PATH ?? "", MESHCTL_CLUSTER: name },
  });
}

test("generate prints the Gateway that istioctl prints", async () => {
  const { stdout } = await waypoint("generate", "--for", "all", "-r", "canary", "-n", "shop");
  assert.equal(
    stdout,
    `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  labels:
    istio.io/waypoint-for: all
    istio.io/rev: canary
  name: waypoint
  namespace: shop
spec:
  gatewayClassName: istio-waypoint
  listeners:
    - name: mesh
      port: 15008
      protocol: HBONE
`,
  );
  const { code, stderr } = await waypoint("generate", "--name", "none");
  assert.equal(code, 1);
  assert.match(stderr, /"none" is a reserved value\nnext: /);
});

test("apply runs one, waits for it, enrols the namespace; list and status show it", async () => {
  const apply = ["apply", "-n", "shop", "--for", "service", "--enroll-namespace", "--wait"];
  const { stdout, stderr } = await waypoint(...apply);
  assert.equal(
    stdout,
    "waypoint shop/waypoint applied\nwaypoint shop/waypoint is ready!\n" +
      'namespace shop labeled with "istio.io/use-waypoint: waypoint"\n',
    stderr,
  );
  const labels = (await cluster.find("Namespace", "shop"))?.metadata.labels;
  assert.equal(labels?.["istio.io/use-waypoint"], "waypoint");
  assert.equal(labels?.["istio.io/dataplane-mode"], "ambient");
  assert.equal(
    (await waypoint("list", "-A")).stdout,
    "NAMESPACE     NAME         REVISION     TRAFFIC TYPE     PROGRAMMED\n" +
      "shop          waypoint     default      service          True\n",
  );
  assert.match(
    (await waypoint("status", "-n", "shop")).stdout,
    /^NAME +STATUS +TYPE +REASON +MESSAGE\nwaypoint +True +Programmed +Programmed +Resource prog/,
  );
  assert.match((await waypoint(...apply)).stdout, /^Warning: namespace \(shop\) already has/);
});

test("apply labels a namespace where it stands, and leaves the rest of the file alone", async () => {
  const { stdout } = await waypoint("apply", "-n", "bank", "--enroll-namespace", "--name", "own");
  assert.match(stdout, /^Warning: namespace is not enrolled in ambient/);
  const text = readFileSync(join(cluster.folder, "bank.yaml"), "utf8");
  assert.match(text, /^# ours\n/);
  assert.match(text, /name: bank # the bank\n/);
  assert.match(text, /istio\.io\/use-waypoint: own\n/);
});

test("delete takes away what it names, and only that", async () => {
  assert.match((await waypoint("delete")).stderr, /no waypoint is named/);
  const gone = await waypoint("delete", "own", "other", "-n", "bank");
  assert.equal(gone.stdout, "waypoint bank/own deleted\nwaypoint bank/other not found\n");
  assert.equal(gone.code, 1);
  assert.equal((await waypoint("list", "-n", "bank")).stdout, "No waypoints found.\n");
  const none = await waypoint("delete", "--revision", "old", "-n", "shop");
  assert.deepEqual([none.stdout, none.code], ["", 0]);
  assert.match((await waypoint("delete", "--all", "-n", "shop")).stdout, /shop\/waypoint deleted/);
  assert.equal(readdirSync(cluster.folder).filter((file) => /waypoint/.test(file)).length, 0);
});
