/**
 * The compile cache that the image brings: every program is started once, inside the image's own
 * file system, so that the cache's keys (paths, content, Node's build) are those of later starts,
 * and so that what the image lacks shows while it is built.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "#common/runtime/errors.ts";
import {
  APP_DIR,
  COMPILE_CACHE,
  ENTRYPOINT,
  ENVIRONMENT,
  NODE,
  PROGRAMS,
  USER_ID,
  WORKERS,
} from "./contents.ts";

/**
 * V8 writes the same bytes each time with these: seeds are fixed, nothing runs beside the program,
 * and no collection happens at a time of its own. None of them is part of the cache's key.
 */
const REPEATABLE = [
  "--random-seed=42",
  "--predictable",
  "--single-threaded-gc",
  "--min-semi-space-size=128",
];

const START_MS = 120_000;

/** Runs everything in `rootfs`, which has to be complete but for the cache. Needs root. */
export function bakeCompileCache(rootfs: string): void {
  for (const program of Object.keys(PROGRAMS)) {
    const said = inRootfs(rootfs, ENTRYPOINT, [program, "--help"]);
    // ztunnel and waypoints take no arguments: they end at the first variable that they miss.
    if (!/usage:|is not set/i.test(said)) throw broken(`${program} does not start`, said);
  }
  for (const worker of WORKERS) {
    const said = inRootfs(rootfs, NODE, [...REPEATABLE, "--eval", importOf(worker)]);
    if (!said.includes("imported")) throw broken(`${worker} cannot be loaded`, said);
  }
  const cache = join(rootfs, COMPILE_CACHE);
  const [made = ""] = readdirSync(cache);
  // The last part of the name is the user's id: one cache serves root and the image's own user.
  symlinkSync(made, join(cache, made.replace(/-\d+$/, `-${USER_ID}`)));
}

function importOf(module: string): string {
  return `import("${APP_DIR}/${module}").then(() => console.log("imported"), (error) => {
    console.log(error.message.includes("parentPort") ? "imported" : error.stack);
  })`;
}

function inRootfs(rootfs: string, command: string, args: readonly string[]): string {
  const { stdout, stderr, error } = spawnSync("chroot", [rootfs, command, ...args], {
    encoding: "utf8",
    env: { ...ENVIRONMENT, AMBIENT_MESH_NODE_FLAGS: REPEATABLE.join(" ") },
    timeout: START_MS,
  });
  if (error !== undefined) throw broken(`chroot ${rootfs} ${command}`, error.message);
  return stdout + stderr;
}

function broken(what: string, said: string): MeshError {
  return new MeshError("IMAGE_BUILD", `${what} in the image: ${said.trim().slice(0, 2000)}`, {
    hint: "say in tools/image/contents.ts what is missing",
  });
}
