/** Says what keeps this machine from running namespaced tests and the namespace cluster. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/** One line of system-tools.txt. */
export interface SystemTool {
  readonly command: string;
  /** Debian's name of the package that brings the command. */
  readonly debianPackage: string;
  /** Completes the sentence "it ...". */
  readonly reason: string;
}

/** Reads the table that tools/bootstrap.sh installs from. */
export function readSystemTools(
  path: string = join(import.meta.dirname, "system-tools.txt"),
): SystemTool[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [command = "", debianPackage = "", ...reason] = line.split(" ");
      return { command, debianPackage, reason: reason.join(" ") };
    });
}

/**
 * Every reason why nodes and pods cannot be made here; empty when they can.
 */
export function namespaceObstacles(): string[] {
  if (process.platform !== "linux") {
    return [`this is ${process.platform}, and nodes and pods are network namespaces of Linux`];
  }
  if (process.getuid?.() !== 0) {
    return ["network namespaces and nft rules need root (try sudo)"];
  }
  const obstacles = readSystemTools()
    .filter((tool) => !isOnPath(tool.command))
    .map(
      (tool) => `${tool.command} is missing (package ${tool.debianPackage}), which ${tool.reason}`,
    );
  if (isOnPath("unshare") && !mayMakeNamespaces()) {
    obstacles.push("root may not make namespaces here (a container needs --privileged)");
  }
  return obstacles;
}

function mayMakeNamespaces(): boolean {
  const args = ["--net", "--mount", "--pid", "--fork", "true"];
  return spawnSync("unshare", args, { stdio: "ignore" }).status === 0;
}

function isOnPath(command: string): boolean {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      // Not in this folder: the next one may have it.
      return false;
    }
  });
}
