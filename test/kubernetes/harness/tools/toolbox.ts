/**
 * Everything a cluster is made of, in one folder: built or downloaded the first time, and found
 * there from then on. Each part is remade when what it is made from has changed.
 *
 *     KUBERNETES_TOOLS   names the folder; ~/.cache/ambient-mesh/kubernetes unless set
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { runCommand } from "./command.ts";
import { debianKey, unpackDebianPackages } from "./debian-packages.ts";
import {
  type Extent,
  type GoProgram,
  goPrograms,
  moduleFolder,
  pinnedVersion,
} from "./go-programs.ts";
import { findGo, type Go } from "./go-toolchain.ts";
import { type Say, sayOnStderr, timed } from "./say.ts";
import { TEST_IMAGES_KEY, testImages } from "./test-images.ts";

export interface Toolbox {
  /** The path of a program of Kubernetes, etcd, containerd or CoreDNS. */
  program(name: string): string;
  readonly runc: string;
  /** The folder of the CNI plugins. */
  readonly cniPlugins: string;
  readonly busybox: string;
  /** OCI tars of the images that every cluster has. */
  readonly images: readonly string[];
}

/** One thing in the folder, and what it depends on. */
interface Part {
  readonly name: string;
  readonly path: string;
  /** Changes when the part has to be made anew. */
  readonly key: string;
  readonly make: () => Promise<void>;
}

export function toolsFolder(): string {
  const named = process.env.KUBERNETES_TOOLS;
  if (named !== undefined && named !== "") return resolve(named);
  const caches = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  return join(caches, "ambient-mesh/kubernetes");
}

/** Resolves when it is there; processes that prepare the same folder wait for each other. */
export async function prepareTools(
  extent: Extent = "everything",
  folder: string = toolsFolder(),
  say: Say = sayOnStderr,
): Promise<Toolbox> {
  await mkdir(join(folder, "images"), { recursive: true });
  const parts = await partsOf(extent, folder, say);
  if (!parts.every(isCurrent)) {
    say(`what Kubernetes is made of comes into ${folder} (once: minutes, and 5 GB of Go's cache)`);
  }
  for (const part of parts) {
    if (!isCurrent(part)) await make(part, say);
  }
  return toolboxOf(folder);
}

function toolboxOf(folder: string): Toolbox {
  const debian = join(folder, "debian");
  const images = Object.keys(testImages("", "")).map((file) => join(folder, "images", file));
  return {
    program: (name) => join(folder, "bin", name),
    runc: join(debian, "usr/sbin/runc"),
    cniPlugins: join(debian, "usr/lib/cni"),
    busybox: join(debian, "bin/busybox"),
    images,
  };
}

async function partsOf(extent: Extent, folder: string, say: Say): Promise<Part[]> {
  const { busybox, program } = toolboxOf(folder);
  let go: Promise<Go> | undefined;
  const theGo = () => {
    go ??= findGo(folder, say);
    return go;
  };
  const programs = goPrograms(extent).map((each) => goPart(program(each.name), each, theGo));
  if (extent === "control-plane") return programs;
  const debian: Part = {
    name: "Debian's runc, CNI plugins and busybox",
    path: join(folder, "debian"),
    key: await debianKey(),
    make: () => unpackDebianPackages(join(folder, "debian")),
  };
  const imageKey = digest([TEST_IMAGES_KEY, ...[debian, ...programs].map(({ key }) => key)]);
  const images = Object.entries(testImages(busybox, program("coredns"))).map(([file, write]) => ({
    name: `image ${file}`,
    path: join(folder, "images", file),
    key: imageKey,
    make: () => write(join(folder, "images")),
  }));
  return [debian, ...programs, ...images];
}

function goPart(path: string, program: GoProgram, go: () => Promise<Go>): Part {
  const { name, module, tags } = program;
  const folder = moduleFolder(module);
  const sources = ["go.mod", "go.sum"].map((file) => readFileSync(join(folder, file), "utf8"));
  const variables = Object.entries(program.variables ?? {}).map(
    ([at, value]) => `-X ${at}=${value}`,
  );
  const flags = ["-trimpath", "-ldflags", ["-s -w", ...variables].join(" ")];
  const build = ["build", ...flags, ...(tags === undefined ? [] : ["-tags", tags])];
  const target = module === "coredns" ? "." : program.package;
  const make = async () => {
    const { command, env } = await go();
    // One mode for all of them: mixed ones compile everything twice.
    const settings = { ...env, CGO_ENABLED: "0", GOWORK: "off" };
    await runCommand([command, ...build, "-o", path, target], {
      cwd: folder,
      env: settings,
      hint: "the Go module proxy has to be reachable (GOPROXY names another one)",
    });
  };
  const key = digest([...sources, ...build, target, process.arch]);
  return { name: `${name} (${versionOf(program)})`, path, key, make };
}

function versionOf({ module, package: path }: GoProgram): string {
  const required: Record<string, string> = {
    kubernetes: "k8s.io/kubernetes",
    containerd: "github.com/containerd/containerd/v2",
    coredns: "github.com/coredns/coredns",
  };
  return pinnedVersion(module, required[module] ?? path);
}

function digest(texts: readonly string[]): string {
  return createHash("sha256").update(texts.join("\0")).digest("hex").slice(0, 16);
}

function keyFile({ path }: Part): string {
  return `${path}.key`;
}

function isCurrent(part: Part): boolean {
  if (!existsSync(part.path) || !existsSync(keyFile(part))) return false;
  return readFileSync(keyFile(part), "utf8") === part.key;
}

async function make(part: Part, say: Say): Promise<void> {
  await mkdir(dirname(part.path), { recursive: true });
  const release = await lock(`${part.path}.lock`);
  try {
    // Somebody else may have made it meanwhile.
    if (isCurrent(part)) return;
    await rm(keyFile(part), { force: true });
    await timed(say, part.name, part.make);
    await writeFile(keyFile(part), part.key);
  } finally {
    release();
  }
}

/** Waits for the lock; what is returned releases it, and so does the end of this process. */
async function lock(path: string): Promise<() => void> {
  const child = spawn("flock", ["--exclusive", path, "sh", "-c", "echo; cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return () => void child.stdin.end();
}
