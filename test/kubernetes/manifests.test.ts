/** The manifests before a real API server, istiod-lite with the permissions that they give it. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { parse, stringify } from "yaml";
import { renderInstallation } from "#meshctl/install/installation.ts";
import { ROOT } from "../house/tree.ts";
import { gatewayApiCrds } from "./harness/official-crds.ts";
import { useKubernetes } from "./harness/use-kubernetes.ts";
import { waitFor } from "./harness/wait-for.ts";
import { allowOnly, strictMtls, waypoint } from "./mesh/objects.ts";

const MANIFESTS = join(ROOT, "manifests");
const OVERLAYS = readdirSync(join(MANIFESTS, "overlays")).map((name) => `overlays/${name}`);
const FOLDERS = ["base", ...OVERLAYS, "samples/kubernetes"];

const cluster = useKubernetes({}, async (started) => {
  await started.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "istio-system" } });
  await started.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
  const apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
  const stdin = (await gatewayApiCrds()).map((crd) => JSON.stringify(crd)).join("\n---\n");
  await started.check(apply, { stdin });
  await started.check(["apply", "--server-side", "-k", join(MANIFESTS, "crds")]);
  await started.check(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
});

for (const folder of FOLDERS) {
  test(`the API server takes all of manifests/${folder}, and knows every field`, async () => {
    const args = ["apply", "--server-side", "--force-conflicts", "--dry-run=server"];
    const strict = ["--validate=strict", "-k", join(MANIFESTS, folder)];
    const said = await cluster().check([...args, ...strict]);
    assert.match(said, /serverside-applied \(server dry run\)/);
  });
}

interface Kubeconfig {
  readonly users: readonly { readonly name: string; readonly user: unknown }[];
}

describe("istiod-lite with the permissions of its service account and no others", () => {
  const dir = mkdtempSync(join(tmpdir(), "istiod-permissions-"));
  let istiod: ChildProcess | undefined;
  let log = "";
  const stop = async (): Promise<void> => {
    if (istiod?.exitCode === null && istiod.kill("SIGTERM")) await once(istiod, "exit");
  };
  after(async () => {
    await stop();
    rmSync(dir, { recursive: true });
  });

  /** The administrator's way to the API server, with the token of the service account. */
  async function kubeconfigOfIstiod(): Promise<string> {
    const token = ["create", "token", "istiod", "-n", "istio-system", "--duration=1h"];
    const user = { token: (await cluster().check(token)).trim() };
    const admin = parse(await cluster().check(["config", "view", "--raw"])) as Kubeconfig;
    const users = admin.users.map(({ name }) => ({ name, user }));
    const file = join(dir, "kubeconfig");
    writeFileSync(file, stringify({ ...admin, users }), { mode: 0o600 });
    return file;
  }

  async function start(...options: readonly string[]): Promise<void> {
    const main = join(ROOT, "istiod-lite/main.ts");
    const source = `kubernetes:${await kubeconfigOfIstiod()}`;
    const ports = ["xds", "debug", "webhook"].flatMap((port) => [`--${port}-port`, "0"]);
    const args = [main, "--source", source, ...ports, ...options];
    const env = { ...process.env, POD_NAMESPACE: "istio-system", POD_NAME: "istiod-test" };
    istiod = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [istiod.stdout, istiod.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        log += chunk.toString();
      });
    }
    const begins = log.length;
    await waitFor("istiod-lite to lead", () => log.includes("this replica leads", begins));
  }

  const get = (...args: readonly string[]): Promise<string> => cluster().check(["get", ...args]);

  test("it reads, leads, writes statuses, runs a waypoint and takes it away", async () => {
    await cluster().check(["apply", "--server-side", "-k", join(MANIFESTS, "base")]);
    await cluster().check(["apply", "--server-side", "-k", join(MANIFESTS, "waypoint-class")]);
    await start();
    await cluster().apply(strictMtls("shop"), allowOnly("shop", "web", "client"));
    await cluster().apply(waypoint("shop"));
    await waitFor("the roots in every namespace", () =>
      get("configmap", "istio-ca-root-cert", "-n", "shop"),
    );
    await waitFor("the policy's condition", async () =>
      (await get("authorizationpolicy", "-n", "shop", "-o", "json")).includes("ZtunnelAccepted"),
    );
    await waitFor("the waypoint", () =>
      get("deploy,service,serviceaccount", "waypoint", "-n", "shop"),
    );
    await waitFor("the Gateway's condition", async () =>
      (await get("gateway", "waypoint", "-n", "shop", "-o", "json")).includes('"Programmed"'),
    );
    await cluster().check(["delete", "gateway", "waypoint", "-n", "shop"]);
    await waitFor(
      "the waypoint to go",
      async () => (await get("deploy", "-n", "shop", "-o", "name")).trim() === "",
    );
  });

  test("as a revision it leads that revision, and registers its webhook", async () => {
    await stop();
    const manifests = await renderInstallation({ revision: "blue" });
    const kinds = ["ClusterRole", "Role", "ValidatingWebhookConfiguration"];
    const own = manifests.filter(({ kind }) => kinds.includes(kind));
    const stdin = own.map((object) => JSON.stringify(object)).join("\n---\n");
    await cluster().check(["apply", "--server-side", "--force-conflicts", "-f", "-"], { stdin });
    await start("--revision", "blue");
    const name = ["validatingwebhookconfiguration", "istio-validator-istio-system-blue"];
    await waitFor("the webhook's CA", async () =>
      (await get(...name, "-o", "jsonpath={.webhooks[*].clientConfig.caBundle}")).trim(),
    );
  });

  test("it was denied nothing", () => {
    const denied = log
      .split("\n")
      .filter((line) => /not allowed|forbidden|cannot \w+ res/i.test(line));
    assert.deepEqual(denied, []);
  });
});
