import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { createLogger } from "#common/telemetry/logger.ts";
import { CniInstaller } from "./cni-installer.ts";

const CONFLIST = `{"cniVersion":"1.0.0","name":"net","plugins":[
  {"type":"bridge","ipam":{"type":"host-local"}},{"type":"portmap"}]}`;
const CONF = '{"cniVersion":"0.4.0","name":"plain","type":"bridge","isGateway":true}';

describe("the plugin in a node's CNI configuration", () => {
  let dir: string;
  let confDir: string;
  let logged: string;
  let installer: CniInstaller;

  beforeEach(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "cni-"));
    confDir = path.join(dir, "net.d");
    fs.mkdirSync(confDir);
    fs.mkdirSync(path.join(dir, "bin"));
    logged = "";
    installer = create();
  });
  afterEach(() => {
    installer.stop();
    fs.rmSync(dir, { recursive: true });
  });

  function create(lookIntervalMs?: number): CniInstaller {
    const write = (line: string): void => {
      logged += line;
    };
    return new CniInstaller({
      binDir: path.join(dir, "bin"),
      socketPath: path.join(dir, "cni.sock"),
      excludedNamespaces: ["kube-system"],
      confDir,
      ...(lookIntervalMs !== undefined && { lookIntervalMs }),
      log: createLogger({ level: "info", format: "text", write }),
    });
  }
  const put = (name: string, text: string) => fs.writeFileSync(path.join(confDir, name), text);
  const names = () => fs.readdirSync(confDir).sort();
  const read = (name: string) => fs.readFileSync(path.join(confDir, name), "utf8");
  const types = (name: string): string[] =>
    JSON.parse(read(name)).plugins.map(({ type }: { type: string }) => type);
  async function until(condition: () => boolean): Promise<void> {
    for (const deadline = Date.now() + 20_000; !condition(); await delay(10)) {
      assert.ok(Date.now() < deadline, `${names()}\n${logged}`);
    }
  }

  it("is the last of the first list, and what was there stays", () => {
    put("10-net.conflist", CONFLIST);
    put("20-other.conflist", CONFLIST);
    installer.start();
    assert.deepEqual(types("10-net.conflist"), ["bridge", "portmap", "ambient-mesh"]);
    assert.deepEqual(JSON.parse(read("10-net.conflist")).plugins[0].ipam, { type: "host-local" });
    assert.equal(read("20-other.conflist"), CONFLIST);
    assert.ok(fs.statSync(path.join(dir, "bin", "ambient-mesh")).mode & 0o100);
  });

  it("is left alone where it is there: nothing is written again", () => {
    put("10-net.conflist", CONFLIST);
    installer.start();
    const before = fs.statSync(path.join(confDir, "10-net.conflist"), { bigint: true });
    create().look();
    const after = fs.statSync(path.join(confDir, "10-net.conflist"), { bigint: true });
    assert.deepEqual([after.ino, after.mtimeNs], [before.ino, before.mtimeNs]);
  });

  it("is chained again when the list is rewritten, and when another comes first", async () => {
    put("10-net.conflist", CONFLIST);
    installer.start();
    put("10-net.conflist", CONFLIST.replace("portmap", "bandwidth"));
    await until(() => types("10-net.conflist").includes("ambient-mesh"));
    assert.deepEqual(types("10-net.conflist"), ["bridge", "bandwidth", "ambient-mesh"]);
    put("05-first.conflist", CONFLIST);
    await until(() => types("05-first.conflist").includes("ambient-mesh"));
  });

  it("comes last again where somebody has appended to the list", async () => {
    put("10-net.conflist", CONFLIST);
    installer.start();
    const json = JSON.parse(read("10-net.conflist"));
    json.plugins.push({ type: "late" });
    put("10-net.conflist", JSON.stringify(json));
    await until(() => types("10-net.conflist").at(-1) === "ambient-mesh");
    assert.deepEqual(types("10-net.conflist"), ["bridge", "portmap", "late", "ambient-mesh"]);
  });

  it("waits for a node that has no network yet, and passes over what cannot be read", async () => {
    put("00-half.conflist", '{"cniVersion":');
    put("01-empty.conflist", '{"cniVersion":"1.0.0","name":"x","plugins":[]}');
    installer.start();
    assert.match(logged, /the node has no CNI configuration yet/);
    put("10-net.conflist", CONFLIST);
    await until(() => types("10-net.conflist").includes("ambient-mesh"));
    assert.equal(read("00-half.conflist"), '{"cniVersion":');
  });

  it("turns a plain configuration into a list, which comes in its place", () => {
    put("10-plain.conf", CONF);
    installer.start();
    assert.deepEqual(names(), ["10-plain.conf.ambient-mesh-saved", "10-plain.conflist"]);
    assert.deepEqual(JSON.parse(read("10-plain.conflist")), {
      cniVersion: "0.4.0",
      name: "plain",
      plugins: [{ type: "bridge", isGateway: true }, { type: "ambient-mesh" }],
    });
  });

  it("says that a configuration is too old to chain, and leaves it as it is", () => {
    const old = CONF.replace("0.4.0", "0.2.0");
    put("10-old.conf", old);
    installer.start();
    assert.equal(read("10-old.conf"), old);
    assert.match(logged, /error.*cniVersion/);
  });

  it("is put back where somebody has removed its files", () => {
    put("10-net.conflist", CONFLIST);
    installer.start();
    fs.rmSync(path.join(dir, "bin", "ambient-mesh"));
    installer.look();
    assert.ok(fs.existsSync(path.join(dir, "bin", "ambient-mesh")));
  });

  it("is put in place as soon as it can be, where it could not be at first", async () => {
    put("10-net.conflist", CONFLIST);
    const bin = path.join(dir, "bin");
    fs.rmdirSync(bin);
    fs.writeFileSync(bin, "no directory");
    installer = create(20);
    installer.start();
    assert.match(logged, /error.*pods may start before they are captured/);
    assert.equal(read("10-net.conflist"), CONFLIST);
    fs.rmSync(bin);
    fs.mkdirSync(bin);
    await until(() => types("10-net.conflist").includes("ambient-mesh"));
    assert.ok(fs.existsSync(path.join(bin, "ambient-mesh")));
  });

  it("leaves every file as it was, byte for byte, and nothing else", () => {
    put("10-net.conflist", CONFLIST);
    installer.start();
    put("05-plain.conf", CONF);
    installer.look();
    create().remove();
    assert.deepEqual(names(), ["05-plain.conf", "10-net.conflist"]);
    assert.equal(read("10-net.conflist"), CONFLIST);
    assert.equal(read("05-plain.conf"), CONF);
    assert.deepEqual(fs.readdirSync(path.join(dir, "bin")), []);
  });

  it("leaves what others have changed meanwhile in the list, without itself", () => {
    put("10-net.conflist", CONFLIST);
    installer.start();
    const json = JSON.parse(read("10-net.conflist"));
    json.plugins[0].mtu = 1400;
    put("10-net.conflist", JSON.stringify(json));
    create().remove();
    const { plugins } = JSON.parse(read("10-net.conflist"));
    assert.deepEqual(plugins[0], { type: "bridge", ipam: { type: "host-local" }, mtu: 1400 });
    assert.equal(plugins.length, 2);
  });
});
