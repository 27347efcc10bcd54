/** What meshctl says when it cannot even begin on Kubernetes: what, why, and what to type next. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { stringify } from "yaml";

const MAIN = join(import.meta.dirname, "main.ts");
const COMMANDS = ["install", "upgrade", "uninstall", "check"];

describe("on Kubernetes, meshctl says what is wrong and what to type next", () => {
  const folder = mkdtempSync(join(tmpdir(), "meshctl-refusals-"));
  let server: Server;
  let port = 0;
  before(async () => {
    server = createServer(({ url }, response) => {
      const isVersion = url === "/version";
      const version = { major: "1", minor: "27", gitVersion: "v1.27.3" };
      const text = JSON.stringify(isVersion ? version : { kind: "Status", code: 404 });
      response.writeHead(isVersion ? 200 : 404, { "content-type": "application/json" });
      response.end(text);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = (server.address() as AddressInfo).port;
  });
  after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  function kubeconfig(address: string): string {
    const file = join(folder, `${address.replaceAll(/\W/g, "-")}.yaml`);
    const name = "test";
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": name,
      clusters: [{ name, cluster: { server: address } }],
      contexts: [{ name, context: { cluster: name } }],
    };
    writeFileSync(file, stringify(config));
    return file;
  }

  function run(args: readonly string[], env: Record<string, string> = {}) {
    return new Promise<{ status: unknown; text: string }>((resolve) => {
      const clean = { PATH: process.env.PATH, HOME: folder, ...env };
      execFile(process.execPath, [MAIN, ...args], { env: clean }, (error, stdout, stderr) => {
        resolve({ status: error === null ? 0 : error.code, text: stdout + stderr });
      });
    });
  }

  for (const command of COMMANDS) {
    test(`${command} without a kubeconfig`, async () => {
      const { status, text } = await run([command]);
      assert.equal(status, 1);
      assert.match(text, /no Kubernetes cluster is known: there is no \S+\.kube\/config\n/);
      assert.match(text, /^next: --kubeconfig FILE, or export KUBECONFIG=FILE$/m);
    });
  }

  test("with a kubeconfig that is not there", async () => {
    const { status, text } = await run(["check", "--kubeconfig", join(folder, "none.yaml")]);
    assert.equal(status, 1);
    assert.match(text, /kubeconfig: \S+none\.yaml cannot be read: ENOENT/);
    assert.match(text, /^next: /m);
  });

  test("with a context that is not there: those that are", async () => {
    const file = kubeconfig("http://127.0.0.1:1");
    const { text } = await run(["install", "--kubeconfig", file, "--context", "prod"]);
    assert.match(text, /there is no context "prod"\nnext: contexts there: test\n/);
  });

  const others = ["get pods", "zc workload", "waypoint apply", "waypoint list", "logs some-pod"];
  for (const command of [...COMMANDS, ...others]) {
    test(`${command} where no server answers`, async () => {
      const file = kubeconfig("http://127.0.0.1:1");
      const { status, text } = await run([...command.split(" "), "--kubeconfig", file]);
      assert.equal(status, 1);
      assert.match(text, /connect ECONNREFUSED 127\.0\.0\.1:1/);
      assert.match(text, /^next: is the API server running|see docs\/troubleshooting\.md#check-/m);
    });
  }

  test("install on a server that is too old, before anything else", async () => {
    const file = kubeconfig(`http://127.0.0.1:${port}`);
    const { status, text } = await run(["install", "--kubeconfig", file]);
    assert.equal(status, 1);
    assert.match(text, /the server is v1\.27\.3; 1\.30 is the oldest\nnext: upgrade the cluster/);
  });

  test("nothing at all where its reader has seen enough", async () => {
    const dump = join(folder, "dump.json");
    const workload = { name: "web", namespace: "shop", workloadIps: ["10.0.0.1"], protocol: "TCP" };
    const workloads = Array.from({ length: 20_000 }, (_, at) => ({ ...workload, uid: `${at}` }));
    writeFileSync(dump, JSON.stringify({ workloads }));
    const line = `"${process.execPath}" "${MAIN}" zc workload -f "${dump}" | head -n 1`;
    const { stdout, stderr } = await promisify(execFile)("sh", ["-c", line]);
    assert.match(stdout, /^NAMESPACE .*\n$/);
    assert.equal(stderr, "");
  });

  test("install with a setting that does not exist", async () => {
    const { status, text } = await run(["install", "--set", "colour=blue"]);
    assert.equal(status, 1);
    assert.match(text, /KEY is one of profile, image, revision/);
  });
});
