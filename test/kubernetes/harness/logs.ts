/** What a cluster and its programs wrote, for whoever has to find out why something failed. */
import { globSync, readFileSync } from "node:fs";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Kubectl } from "./kubectl.ts";

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

const OVERVIEWS: Readonly<Record<string, readonly string[]>> = {
  "objects.txt": ["get", "all", "-A", "-o", "wide"],
  "pods.yaml": ["get", "pods", "-A", "-o", "yaml"],
  "nodes.txt": ["describe", "nodes"],
  "events.txt": ["get", "events", "-A", "--sort-by=.lastTimestamp"],
};

/** Copies the programs' logs, what kubectl tells, and every container's log into `folder`. */
export async function collectLogs(kubectl: Kubectl, logs: string, folder: string): Promise<void> {
  await mkdir(join(folder, "pods"), { recursive: true });
  await cp(logs, join(folder, "programs"), { recursive: true });
  for (const [file, args] of Object.entries(OVERVIEWS)) {
    const { stdout, stderr } = await kubectl.run(args, { timeoutMs: 20_000 });
    await writeFile(join(folder, file), stdout + stderr);
  }
  const path = "{range .items[*]}{.metadata.namespace}/{.metadata.name}{'\\n'}{end}";
  const listed = await kubectl.run(["get", "pods", "-A", "-o", `jsonpath=${path}`]);
  for (const pod of listed.stdout.split("\n").filter(Boolean)) {
    const [namespace = "", name = ""] = pod.split("/");
    for (const earlier of [[], ["--previous"]]) {
      const args = ["logs", "-n", namespace, name, "--all-containers", ...earlier];
      const { code, stdout } = await kubectl.run(args, { timeoutMs: 20_000 });
      const end = earlier.length > 0 ? "previous.log" : "log";
      if (code === 0) await writeFile(join(folder, "pods", `${namespace}_${name}.${end}`), stdout);
    }
  }
}
