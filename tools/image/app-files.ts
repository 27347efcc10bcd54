/**
 * The project's own part of the image: Node, the entrypoint, sources, the npm packages that they
 * need to run, and the users.
 */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { MeshError } from "#common/runtime/errors.ts";
import {
  APP_DIR,
  ENTRYPOINT,
  IMAGE,
  NODE,
  SOURCES,
  shipsModuleFile,
  shipsSource,
  USER_ID,
} from "./contents.ts";

interface LockedPackage {
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
}

/** Of optional packages only these are for running; the others are tools or for other machines. */
const OPTIONAL = /^node_modules\/@koromix\/koffi-linux-/;
/** Only types: nothing to load. */
const TYPES_ONLY = /^node_modules\/(@types\/|undici-types$)/;

/** Writes all of it into `rootfs`, out of the checkout `root` with its npm packages installed. */
export function layOutPrograms(root: string, rootfs: string, arch: string): void {
  const put = (path: string, content: string): void => {
    mkdirSync(dirname(join(rootfs, path)), { recursive: true });
    writeFileSync(join(rootfs, path), content);
  };
  put("etc/passwd", `root:x:0:0:root:/root:/bin/sh\n${user("nobody", 65_534)}${user(IMAGE)}`);
  put("etc/group", `root:x:0:\nnogroup:x:65534:\n${IMAGE}:x:${USER_ID}:\n`);
  mkdirSync(dirname(join(rootfs, NODE)), { recursive: true });
  copyFileSync(join(root, `node_modules/node-linux-${arch}/bin/node`), join(rootfs, NODE));
  copyFileSync(join(import.meta.dirname, "ambient-mesh.sh"), join(rootfs, ENTRYPOINT));
  for (const path of [NODE, ENTRYPOINT]) chmodSync(join(rootfs, path), 0o755);
  copyApp(root, join(rootfs, APP_DIR), arch);
}

function user(name: string, id = USER_ID): string {
  return `${name}:x:${id}:${id}:${name}:/nonexistent:/usr/sbin/nologin\n`;
}

/** Copies sources and packages of the checkout `root` into the folder `target`. */
function copyApp(root: string, target: string, arch: string): void {
  for (const source of SOURCES) copyTree(root, source, target, shipsSource);
  for (const path of productionPackages(root, arch)) {
    if (!existsSync(join(root, path))) {
      throw new MeshError("IMAGE_BUILD", `${path} is not installed`, {
        hint: `run npm ci${arch === process.arch ? "" : ` --cpu=${arch}`} first`,
      });
    }
    copyTree(root, path, target, (file) => shipsModuleFile(file.slice(path.length + 1)));
  }
}

/** Paths of the packages in the lock file that the programs need, of one architecture, sorted. */
export function productionPackages(root: string, arch: string): string[] {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, LockedPackage>>;
  };
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== "" && entry.dev !== true && !TYPES_ONLY.test(path))
    .filter(([path, entry]) => entry.optional !== true || isOf(path, entry, arch))
    .map(([path]) => path)
    .sort();
}

function isOf(path: string, { cpu = [] }: LockedPackage, arch: string): boolean {
  return OPTIONAL.test(path) && cpu.includes(arch);
}

/** node_modules inside a package are packages of their own in the lock file. */
function copyTree(
  root: string,
  path: string,
  target: string,
  ships: (path: string) => boolean,
): void {
  const from = join(root, path);
  if (!statSync(from).isDirectory()) {
    if (!ships(path)) return;
    mkdirSync(dirname(join(target, path)), { recursive: true });
    cpSync(from, join(target, path));
    return;
  }
  for (const name of readdirSync(from)) {
    if (name !== "node_modules") copyTree(root, `${path}/${name}`, target, ships);
  }
}
