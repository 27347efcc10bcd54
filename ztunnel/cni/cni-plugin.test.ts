import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { createLogger } from "#common/telemetry/logger.ts";
import { addressesOf, type CniRequest } from "./cni-request.ts";
import { CniServer } from "./cni-server.ts";
import { installPluginFiles } from "./plugin-files.ts";
import type { CniAnswer } from "./pod-admission.ts";

const PREVIOUS = {
  cniVersion: "1.0.0",
  interfaces: [{ name: "veth1" }, { name: "eth0", sandbox: "/var/run/netns/cni-1" }],
  ips: [
    { address: "10.244.1.7/24", interface: 1, gateway: "10.244.1.1" },
    { address: "fd00::7/64", interface: 1 },
    { address: "192.0.2.1/24", interface: 0 },
  ],
  dns: { search: ['a "}" \\ ]'] },
};
const CONFIG = {
  cniVersion: "1.0.0",
  name: 'net "prevResult": {',
  runtimeConfig: { prevResult: "not this one" },
  prevResult: PREVIOUS,
  type: "ambient-mesh",
};
const ARGS = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=u-1";
const LOG = createLogger({ level: "error", format: "text", write: () => undefined });

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

describe("the CNI plugin", () => {
  let dir: string;
  let socketPath: string;
  let servers: CniServer[];
  let asked: CniRequest[];

  beforeEach(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "cni-plugin-"));
    socketPath = path.join(dir, "run", "cni.sock");
    servers = [];
    asked = [];
    const excludedNamespaces = ["istio-system", "kube-system"];
    installPluginFiles({ binDir: dir, socketPath, excludedNamespaces, patienceS: 1 });
  });
  afterEach(async () => {
    await Promise.all(servers.map((server) => server.abort()));
    fs.rmSync(dir, { recursive: true });
  });

  async function serve(answer: (request: CniRequest) => CniAnswer): Promise<CniServer> {
    const server = new CniServer({
      socketPath,
      log: LOG,
      lookIntervalMs: 20,
      answer: async (request) => {
        asked.push(request);
        return answer(request);
      },
    });
    servers.push(server);
    await server.listen();
    return server;
  }

  /** As a container runtime calls it: without a PATH, and whatever its own libraries are. */
  function call(command: string, args = ARGS, config: object = CONFIG): Promise<Ended> {
    const child = spawn(path.join(dir, "ambient-mesh"), [], {
      stdio: ["pipe", "pipe", "inherit"],
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: "c-1",
        CNI_NETNS: "/var/run/netns/cni-1",
        CNI_IFNAME: "eth0",
        CNI_ARGS: args,
        LD_LIBRARY_PATH: "/nowhere",
      },
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
    child.stdin.end(JSON.stringify(config));
    return new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
  }

  it("hands over all that the agent needs, and prints what it says", async () => {
    await serve(() => ({ exitCode: 0, output: '{"some":"result"}' }));
    assert.deepEqual(await call("ADD"), { code: 0, output: '{"some":"result"}\n' });
    const [request] = asked;
    assert.equal(request?.netnsPath, "/var/run/netns/cni-1");
    assert.equal(request?.containerId, "c-1");
    assert.equal(request?.args.get("K8S_POD_UID"), "u-1");
    assert.deepEqual(addressesOf(request?.prevResult), ["10.244.1.7", "fd00::7"]);
  });

  it("fails the sandbox in the agent's words", async () => {
    await serve(() => ({ exitCode: 1, output: '{"code":11}' }));
    assert.deepEqual(await call("ADD"), { code: 1, output: '{"code":11}\n' });
  });

  it("fails the sandbox where no agent answers, and says what to look at", async () => {
    const { code, output } = await call("ADD");
    assert.equal(code, 1);
    const error = JSON.parse(output);
    assert.equal(error.code, 11);
    assert.equal(error.cniVersion, "1.0.0");
    assert.match(error.msg, /pod shop\/web-0 .*kubectl -n istio-system get pods -l app=ztunnel/);
  });

  it("waits a while for an agent that is being replaced", async () => {
    const called = call("ADD");
    await serve(() => ({ exitCode: 0, output: "{}" }));
    assert.equal((await called).code, 0);
  });

  it("asks again where the agent ends before it has answered", async () => {
    const dying = await serve(() => {
      throw new Error("killed");
    });
    const called = call("ADD");
    while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await dying.abort();
    await serve(() => ({ exitCode: 0, output: "{}" }));
    assert.equal((await called).code, 0);
  });

  it("lets pods of excluded namespaces pass without an agent, with the result before", async () => {
    for (const args of [ARGS.replace("shop", "istio-system"), "", "IgnoreUnknown=1"]) {
      const { code, output } = await call("ADD", args);
      assert.equal(code, 0);
      assert.deepEqual(JSON.parse(output), PREVIOUS);
    }
  });

  it("refuses to be the first of a chain", async () => {
    const { prevResult: _, ...first } = CONFIG;
    const { code, output } = await call("ADD", ARGS.replace("shop", "kube-system"), first);
    assert.equal(code, 1);
    assert.equal(JSON.parse(output).code, 7);
  });

  it("never keeps a pod from being deleted", async () => {
    assert.equal((await call("DEL")).code, 0);
    await serve(() => ({ exitCode: 1, output: "{}" }));
    assert.equal((await call("DEL")).code, 0);
    assert.equal(asked[0]?.command, "DEL");
  });

  it("says which versions it speaks; without an agent networks and sandboxes stand", async () => {
    const { supportedVersions } = JSON.parse((await call("VERSION")).output);
    assert.deepEqual(supportedVersions, ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]);
    assert.deepEqual(await call("STATUS"), { code: 0, output: "" });
    assert.deepEqual(await call("GC"), { code: 0, output: "" });
    assert.deepEqual(await call("CHECK"), { code: 0, output: "" });
  });

  it("reaches the later of two agents, and the earlier one again when that has died", async () => {
    await serve(() => ({ exitCode: 0, output: '"first"' }));
    const second = await serve(() => ({ exitCode: 0, output: '"second"' }));
    assert.equal((await call("ADD")).output, '"second"\n');
    await second.abort();
    assert.equal((await call("ADD")).output, '"first"\n');
  });
});
