/** The image of this checkout, built when its sources have changed since the last time. */
import { createHash } from "node:crypto";
import {
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { buildImage } from "../../../tools/image/build.ts";
import { SOURCES } from "../../../tools/image/contents.ts";
import { listFiles, ROOT } from "../../house/tree.ts";
import { sayOnStderr, timed } from "../harness/tools/say.ts";
import { toolsFolder } from "../harness/tools/toolbox.ts";

/** How many images stay: those of other checkouts, and of the last changes. */
const KEPT = 4;

/** The path of the OCI tar. */
export async function meshImage(): Promise<string> {
  const folder = join(toolsFolder(), "images");
  const path = join(folder, `ambient-mesh-${sourcesKey()}.tar`);
  if (existsSync(path)) return path;
  await timed(sayOnStderr, "the mesh's image", async () => {
    const scratch = mkdtempSync(join(folder, "build-"));
    try {
      const output = join(scratch, "image.tar");
      buildImage({ root: ROOT, output, scratch: join(scratch, "root"), arch: process.arch });
      renameSync(output, path);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
  removeOldest(folder);
  return path;
}

/** Of everything that may be in the image, and of what makes it. */
function sourcesKey(): string {
  const within = [...SOURCES, "tools/image", "package-lock.json"];
  const hash = createHash("sha256");
  for (const path of listFiles()) {
    if (path.endsWith(".test.ts")) continue;
    if (!within.some((at) => path === at || path.startsWith(`${at}/`))) continue;
    hash.update(`${path}\0`).update(readFileSync(join(ROOT, path)));
  }
  return hash.digest("hex").slice(0, 16);
}

function removeOldest(folder: string): void {
  const age = (path: string) => statSync(path).mtimeMs;
  const images = globSync("ambient-mesh-*.tar", { cwd: folder }).map((file) => join(folder, file));
  images.sort((a, b) => age(b) - age(a));
  for (const path of images.slice(KEPT)) rmSync(path, { force: true });
}
