/** What a cluster's programs wrote, for whoever has to find out why something failed. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

const SHOWN_LINES = 8;

/** The last lines of every log in the folder, each under its name. */
export function lastLogLines(folder: string): string {
  const logs = globSync("*.log", { cwd: folder }).sort();
  return logs
    .map((file) => {
      const lines = readFileSync(join(folder, file), "utf8").trimEnd().split("\n");
      return `--- ${file}\n${lines.slice(-SHOWN_LINES).join("\n")}`;
    })
    .join("\n");
}
