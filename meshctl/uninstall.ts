/** `meshctl uninstall`: takes the mesh out of a Kubernetes cluster; pods go on talking. */
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { MeshError } from "#common/runtime/errors.ts";
import {
  connectKubernetes,
  type KubernetesOption,
  withKubernetesOptions,
} from "#meshctl/cluster-access/kubernetes-access.ts";
import { UNENROL_TIMEOUT_MS } from "#meshctl/install/limits.ts";
import { nameOf } from "#meshctl/install/manifest.ts";
import { planRemoval, type Removal, uninstall } from "#meshctl/install/uninstall.ts";
import { parseDurationMs } from "./duration.ts";

interface Options extends KubernetesOption {
  readonly yes: boolean;
  readonly force: boolean;
  readonly purge: boolean;
  readonly dryRun: boolean;
  readonly timeout: number;
}

export function addUninstall(program: Command): void {
  withKubernetesOptions(program.command("uninstall"))
    .description("Take the mesh out of a Kubernetes cluster. Your own objects and CRDs stay.")
    .option("-y, --yes", "do not ask", false)
    .option("--purge", "also CRDs with all their objects, and the namespace istio-system", false)
    .option("--dry-run", "say what would be deleted", false)
    .option("--force", "do not wait for pods to be let go", false)
    .option("--timeout <duration>", "how long they may take", parseDurationMs, UNENROL_TIMEOUT_MS)
    .action(remove);
}

async function remove(options: Options): Promise<void> {
  const { client, title } = connectKubernetes(options);
  try {
    const removal = await planRemoval(client, options.purge);
    if (removal.removed.length === 0) {
      say(`nothing of a mesh is in ${title}`);
      return;
    }
    if (!options.yes && !options.dryRun) await confirm(title, removal);
    await uninstall(client, removal, { ...options, timeoutMs: options.timeout }, say);
  } finally {
    client.close();
  }
}

/** Throws a MeshError where nobody says yes. */
async function confirm(title: string, { removed }: Removal): Promise<void> {
  const hint = "-y says yes; --dry-run says what would be deleted";
  if (process.stdin.isTTY !== true) {
    throw new MeshError("NOT_CONFIRMED", "nobody is there to say yes", { hint });
  }
  say(removed.map(nameOf).join("\n"));
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const question = `Delete these ${removed.length} objects from ${title}? [y/N] `;
  const answer = await terminal.question(question).finally(() => terminal.close());
  if (/^y(es)?$/i.test(answer.trim())) return;
  throw new MeshError("NOT_CONFIRMED", "nothing was deleted", { hint });
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
