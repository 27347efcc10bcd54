/**
 * Makes the image as an OCI tar without Docker: Debian packages, Node, npm packages and sources are
 * laid out in a folder, every program is started there once, and the folder is packed so that the
 * same input gives the same digest.
 */
import { lstatSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "#common/runtime/errors.ts";
import { VERSION } from "#common/runtime/version.ts";
import { layOutPrograms } from "./app-files.ts";
import { bakeCompileCache } from "./compile-cache.ts";
import {
  APP_DIR,
  DEBIAN_ARCHITECTURES,
  ENTRYPOINT,
  ENVIRONMENT,
  IMAGE,
  LABELS,
  PACKAGE_DEPENDENCIES,
  PACKAGES,
  SLIM_PACKAGES,
  USER_ID,
} from "./contents.ts";
import {
  fetchPackages,
  type UnpackedPackage,
  unpackPackages,
  writeCertificateBundle,
} from "./debian-packages.ts";
import { type Layer, writeOciImage } from "./oci-layout.ts";
import { TarWriter } from "./tar.ts";

export interface BuildOptions {
  /** The checkout, with its npm packages installed. */
  readonly root: string;
  /** The tar to write. */
  readonly output: string;
  /** An empty folder for what is made on the way; the caller removes it. */
  readonly scratch: string;
  /** Node's name of the architecture: x64 or arm64. */
  readonly arch: string;
}

export interface BuiltImage {
  /** As containerd lists it: "docker.io/library/ambient-mesh:<version>". */
  readonly reference: string;
  /** Of the manifest: "sha256:…". */
  readonly digest: string;
  readonly packages: readonly UnpackedPackage[];
}

/** What kubelet makes of an image's name without a registry in front. */
export function imageReference(): string {
  return `docker.io/library/${IMAGE}:${VERSION}`;
}

/** Throws a MeshError IMAGE_BUILD that says what was missing. */
export function buildImage({ root, output, scratch, arch }: BuildOptions): BuiltImage {
  const architecture = DEBIAN_ARCHITECTURES[arch];
  if (architecture === undefined) {
    throw new MeshError("IMAGE_BUILD", `no image for ${arch}: there are x64 and arm64`);
  }
  const rootfs = join(scratch, "rootfs");
  const packages = layOutSystem(rootfs, join(scratch, "packages"), architecture);
  layOutPrograms(root, rootfs, arch);
  if (arch === process.arch) bakeCompileCache(rootfs);
  const layers = packLayers(rootfs, scratch);
  const reference = imageReference();
  const digest = writeOciImage(
    output,
    reference,
    {
      architecture,
      user: `${USER_ID}:${USER_ID}`,
      workingDir: "/",
      entrypoint: [ENTRYPOINT],
      environment: ENVIRONMENT,
      labels: LABELS,
    },
    layers,
  );
  return { reference, digest, packages };
}

/** Debian's part, which the Dockerfile leaves to its base image and apt. */
function layOutSystem(rootfs: string, debs: string, architecture: string): UnpackedPackage[] {
  mkdirSync(rootfs, { recursive: true, mode: 0o755 });
  const names = [...SLIM_PACKAGES, ...Object.keys(PACKAGES), ...PACKAGE_DEPENDENCIES];
  fetchPackages(names, architecture, debs);
  const packages = unpackPackages(debs, rootfs);
  writeCertificateBundle(rootfs);
  writeFileSync(
    join(rootfs, "etc/nsswitch.conf"),
    "passwd: files\ngroup: files\nhosts: files dns\n",
  );
  return packages;
}

/** What changes seldom is a layer of its own: a new version of ours transfers only the last. */
function packLayers(rootfs: string, scratch: string): Layer[] {
  const app = APP_DIR.slice(1);
  const modules = `${app}/node_modules`;
  const within = (path: string, dir: string): boolean => `${path}/`.startsWith(`${dir}/`);
  const contents: readonly [createdBy: string, holds: (path: string) => boolean][] = [
    ["Debian packages and Node", (path) => !within(path, app)],
    ["npm packages", (path) => within(path, modules)],
    ["ambient-mesh", (path) => within(path, app) && !within(path, modules)],
  ];
  const paths = listTree(rootfs, "");
  return contents.map(([createdBy, holds], number) => {
    const file = join(scratch, `layer-${number}.tar`);
    return { file, createdBy, ...packLayer(rootfs, paths.filter(holds), file) };
  });
}

function packLayer(rootfs: string, paths: readonly string[], file: string) {
  const tar = new TarWriter(file);
  for (const path of paths) {
    const source = join(rootfs, path);
    const stats = lstatSync(source);
    if (stats.isSymbolicLink()) tar.symlink(path, readlinkSync(source));
    else if (stats.isDirectory()) tar.directory(path, path === "tmp" ? 0o1777 : 0o755);
    else tar.file(path, stats.mode & 0o111 ? 0o755 : 0o644, source);
  }
  return tar.close();
}

/** Every path below `dir`, parents before what they hold, sorted by name whatever the locale. */
function listTree(rootfs: string, dir: string): string[] {
  return readdirSync(join(rootfs, dir), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = dir === "" ? entry.name : `${dir}/${entry.name}`;
      return entry.isDirectory() ? [path, ...listTree(rootfs, path)] : [path];
    });
}
