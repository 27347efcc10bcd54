/**
 * Paths as the node means them, for a process with another root. Below /proc/1/root the kernel
 * resolves an absolute symbolic link against the root of whoever asks: /var/run, which leads to
 * /run on most nodes, would end up in this container.
 */
import fs from "node:fs";
import path from "node:path";

/** Source: Linux, MAXSYMLINKS. */
const LINKS_MAX = 40;

/** Where this process finds a file of the root that it sees at `root`; "" if that is its own. */
export function pathWithin(root: string, file: string): string {
  if (root === "") return file;
  let links = 0;
  let at = "/";
  const rest = file.split("/");
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    const next = path.join(at, part);
    const target = links < LINKS_MAX ? readLink(root + next) : undefined;
    if (target === undefined) {
      at = next;
      continue;
    }
    links++;
    if (path.isAbsolute(target)) at = "/";
    rest.unshift(...target.split("/"));
  }
  return root + at;
}

/** Undefined where it is no link, or not there. */
function readLink(file: string): string | undefined {
  try {
    return fs.readlinkSync(file);
  } catch {
    return undefined;
  }
}
