import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { type FileHandle, mkdtemp, open, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ip } from "#common/mesh-state/test-records.ts";
import { RESOLV_CONF_MAX_AGE_MS } from "./limits.ts";
import { PodResolver, serversFor } from "./pod-resolver.ts";
import { parseResolvConf } from "./resolv-conf.ts";

let dir = "";
const pipes: FileHandle[] = [];
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "pod-resolver-"));
});
after(async () => {
  await Promise.all(pipes.map((pipe) => pipe.close()));
  await rm(dir, { recursive: true });
});

const KUBELETS = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"];

function resolverOf(locate: () => Promise<string | undefined>, now = () => 0): PodResolver {
  return new PodResolver({ locate, namespace: "shop", clusterDomain: "cluster.local", now });
}

function domainsOf({ settings }: PodResolver): readonly string[] {
  return settings.searchDomains.map((labels) => labels.join("."));
}

describe("a pod's resolver", () => {
  test("is what its resolv.conf says", async () => {
    const file = join(dir, "resolv.conf");
    await writeFile(file, "search a.b\nnameserver 10.96.0.10\n");
    const resolver = resolverOf(async () => file);
    await resolver.refresh();
    assert.deepEqual(resolver.settings.nameservers, ["10.96.0.10"]);
    assert.deepEqual(domainsOf(resolver), ["a.b"]);
  });

  test("is read again when it has become old", async () => {
    const file = join(dir, "changing");
    await writeFile(file, "nameserver 10.96.0.10\n");
    let now = 0;
    const resolver = resolverOf(
      async () => file,
      () => now,
    );
    await resolver.refresh();
    await writeFile(file, "nameserver 10.96.0.11\n");
    now = RESOLV_CONF_MAX_AGE_MS + 1;
    assert.deepEqual(resolver.settings.nameservers, ["10.96.0.10"]);
    await resolver.refresh();
    assert.deepEqual(resolver.settings.nameservers, ["10.96.0.11"]);
  });

  const unusable: Readonly<Record<string, (path: string) => Promise<void>>> = {
    "does not exist": async () => undefined,
    "has no name server": (path) => writeFile(path, "search a.b\n"),
    "is a pipe that nobody writes to": async (path) => void execFileSync("mkfifo", [path]),
    "is a pipe with a name server in it": async (path) => {
      execFileSync("mkfifo", [path]);
      // Open for both directions it neither waits for a reader nor loses what is written.
      const pipe = await open(path, "r+");
      pipes.push(pipe);
      await pipe.write("nameserver 6.6.6.6\n");
    },
    "is a symbolic link": async (path) => {
      await writeFile(`${path}-target`, "nameserver 6.6.6.6\n");
      await symlink(`${path}-target`, path);
    },
    "is a device": async (path) => symlink("/dev/zero", path),
    "is far too long": (path) => writeFile(path, `nameserver 6.6.6.6\n${"#".repeat(70_000)}`),
  };
  for (const [what, make] of Object.entries(unusable)) {
    test(`that ${what} is replaced by ztunnel's own, with a kubelet's search domains`, async () => {
      const file = join(dir, what.replaceAll(" ", "-"));
      await make(file);
      const resolver = resolverOf(async () => file);
      await resolver.refresh();
      const own = parseResolvConf(await readFile("/etc/resolv.conf", "latin1"));
      assert.deepEqual(resolver.settings.nameservers, own.nameservers);
      assert.deepEqual(domainsOf(resolver), KUBELETS);
    });
  }
});

describe("the servers to ask", () => {
  const own = [ip("10.96.0.10"), ip("10.96.0.11")];
  test("begin with the one that the client asked, if it is the pod's", () => {
    assert.deepEqual(serversFor(ip("10.96.0.11"), own), ["10.96.0.11", "10.96.0.10"]);
  });
  test("are only that one, if it is not", () => {
    assert.deepEqual(serversFor(ip("8.8.8.8"), own), ["8.8.8.8"]);
  });
  test("are the pod's, if nobody knows which one was asked", () => {
    assert.deepEqual(serversFor(undefined, own), own);
  });
});
