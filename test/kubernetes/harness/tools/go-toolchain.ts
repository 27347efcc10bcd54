/**
 * A Go that is new enough: the machine's, or else the toolchain module of the Go module proxy,
 * checked against the hash that is pinned here.
 */
import { chmodSync, existsSync, globSync, rmSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "#common/runtime/errors.ts";
import { runCommand } from "./command.ts";
import type { Say } from "./say.ts";
import { hashModuleZip, openZip, unpackZip } from "./zip.ts";

export interface Go {
  readonly command: string;
  /** What its commands need besides this process's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** "go1.26.8" */
  readonly version: string;
}

/** What Kubernetes 1.36 asks for (the go line of its go.mod). */
const NEEDED_MINOR = 26;

/** What is downloaded where the machine has none, and its hash as Go's checksum database has it. */
const TOOLCHAIN = "v0.0.1-go1.26.8.linux";
const TOOLCHAIN_HASHES: Readonly<Record<string, string>> = {
  x64: "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=",
  arm64: "h1:sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc=",
};
const GO_ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** `folder` keeps what is downloaded, and the build cache of a downloaded Go. */
export async function findGo(folder: string, say: Say): Promise<Go> {
  for (const command of ["go", "/usr/local/go/bin/go"]) {
    const version = await versionOf(command);
    if (version !== undefined && isNewEnough(version)) return { command, env: {}, version };
  }
  const root = join(folder, "go");
  const command = join(root, "bin/go");
  if (!existsSync(command)) await download(root, say);
  const env = {
    GOROOT: root,
    GOTOOLCHAIN: "local",
    GOCACHE: join(folder, "go-build"),
    GOMODCACHE: join(folder, "go-modules"),
    GOFLAGS: "-modcacherw",
  };
  return { command, env, version: TOOLCHAIN.replace(/^.*-(go[\d.]+)\..*$/, "$1") };
}

async function versionOf(command: string): Promise<string | undefined> {
  try {
    return (await runCommand([command, "env", "GOVERSION"])).trim();
  } catch {
    // Not there, or not able to run: the next one may be.
    return undefined;
  }
}

function isNewEnough(version: string): boolean {
  const [, major, minor] = version.match(/^go(\d+)\.(\d+)/) ?? [];
  return Number(major) > 1 || Number(minor) >= NEEDED_MINOR;
}

async function download(root: string, say: Say): Promise<void> {
  const name = `${TOOLCHAIN}-${GO_ARCHITECTURES[process.arch] ?? process.arch}`;
  const url = `${moduleProxy()}/golang.org/toolchain/@v/${name}.zip`;
  say(`there is no Go 1.${NEEDED_MINOR} here: downloading ${url} (70 MB) ...`);
  const archive = `${root}.zip`;
  await runCommand(["curl", "-fsSL", "--retry", "3", "-o", archive, url], {
    hint: "install Go 1.26 or newer (https://go.dev/dl) and put it on the PATH, or set GOPROXY",
  });
  const zip = openZip(archive);
  const hash = hashModuleZip(zip);
  const expected = TOOLCHAIN_HASHES[process.arch];
  if (hash !== expected) {
    rmSync(archive);
    throw new MeshError("KUBERNETES_TOOLS", `${url} has the hash ${hash}, not ${expected}`, {
      hint: "the proxy served something else: install Go 1.26 from https://go.dev/dl instead",
    });
  }
  const unpacked = `${root}.unpacked`;
  await mkdir(unpacked, { recursive: true });
  unpackZip(zip, unpacked, `golang.org/toolchain@${name}/`);
  for (const tool of globSync(["bin/*", "pkg/tool/*/*"], { cwd: unpacked })) {
    chmodSync(join(unpacked, tool), 0o755);
  }
  await rename(unpacked, root);
  rmSync(archive);
}

/** The first proxy that GOPROXY names. */
function moduleProxy(): string {
  const named = (process.env.GOPROXY ?? "").split(/[,|]/).find((each) => /^https?:/.test(each));
  return (named ?? "https://proxy.golang.org").replace(/\/$/, "");
}
