/** `meshctl check`: before an installation, and of one; each finding says where to read on. */
import { type Command, Option } from "commander";
import { installedChecks } from "#meshctl/check/installed-checks.ts";
import { type Finding, formatFinding, summary } from "#meshctl/check/outcome.ts";
import { preChecks } from "#meshctl/check/pre-checks.ts";
import { runChecks } from "#meshctl/check/run-checks.ts";
import {
  connectKubernetes,
  type KubernetesOption,
  withKubernetesOptions,
} from "#meshctl/cluster-access/kubernetes-access.ts";
import { KubernetesCluster } from "#meshctl/cluster-access/kubernetes-cluster.ts";
import { renderInstallation } from "#meshctl/install/installation.ts";

interface CheckOptions extends KubernetesOption {
  readonly pre: boolean;
  readonly output: "text" | "json";
}

export function addCheck(program: Command): void {
  withKubernetesOptions(program.command("check"))
    .description(
      "Look for what is wrong with a mesh on Kubernetes; with --pre: before there is one.",
    )
    .option("--pre", "whether the cluster can take an installation", false)
    .addOption(
      new Option("-o, --output <format>", "how to show it")
        .choices(["text", "json"])
        .default("text"),
    )
    .action(check);
}

/** The exit status is 1 where something failed. */
async function check({ pre, output, ...options }: CheckOptions): Promise<void> {
  const { client, namespace, title } = connectKubernetes(options);
  try {
    const checks = pre
      ? preChecks(client, await renderInstallation({ profile: "base" }))
      : installedChecks(client, new KubernetesCluster(client, namespace));
    if (output === "text") process.stdout.write(`${title}\n`);
    const findings: Finding[] = [];
    for await (const finding of runChecks(checks)) {
      findings.push(finding);
      if (output === "text") process.stdout.write(formatFinding(finding));
    }
    const { good, text } = summary(findings);
    process.stdout.write(
      output === "json" ? `${JSON.stringify({ good, findings }, null, 2)}\n` : `${text}\n`,
    );
    if (!good) process.exitCode = 1;
  } finally {
    client.close();
  }
}
