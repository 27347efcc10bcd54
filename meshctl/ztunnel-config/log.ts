/** `meshctl ztunnel-config log`: which messages ztunnels log, shown and changed. */
import { type Command, InvalidArgumentError } from "commander";
import { MeshError } from "#common/runtime/errors.ts";
import { LOG_LEVELS, parseLogDirectives } from "#common/telemetry/log-levels.ts";
import {
  type ClusterOption,
  withCluster,
  withClusterOption,
} from "#meshctl/cluster-access/connect.ts";
import { type AdminPortOption, withAdminPort } from "./options.ts";
import { resolveTarget, type TargetOptions } from "./target.ts";

interface LogOptions extends ClusterOption, TargetOptions, AdminPortOption {
  readonly level?: string;
  readonly reset?: boolean;
}

export function addLog(parent: Command): void {
  withAdminPort(withClusterOption(parent.command("log")))
    .alias("o")
    .description("Show or change what ztunnels log; of all nodes unless one is named.")
    .argument("[ztunnel]", "its pod, its node, or a pod that it carries")
    .option("--level <levels>", "a level, TARGET:LEVEL, or several apart by commas", parseLevels)
    .option("-r, --reset", "back to the levels of the start")
    .option("--node <node>", "of the ztunnel on this node")
    .option("-n, --namespace <namespace>", "of the pod")
    .action(log);
}

async function log(reference: string | undefined, options: LogOptions): Promise<void> {
  const { level, reset = false, node, proxyAdminPort: port } = options;
  if (reset && level !== undefined) {
    throw new MeshError("CONFLICTING_OPTIONS", "--level and --reset say different things");
  }
  const query = reset ? "?reset" : level === undefined ? "" : `?level=${encodeURIComponent(level)}`;
  const asked = { method: "POST", path: `/logging${query}`, port } as const;
  await withCluster(options, async (cluster) => {
    const ztunnels =
      reference === undefined && node === undefined
        ? await cluster.ztunnels()
        : [(await resolveTarget(cluster, reference, options, false)).ztunnel];
    for (const ztunnel of ztunnels) {
      const answer = await cluster.askZtunnel(ztunnel, asked);
      process.stdout.write(`${ztunnel.name}.istio-system:\n${answer}\n`);
    }
  });
}

/** In the notation that Istio's ztunnel takes, too. */
function parseLevels(text: string): string {
  const directives = parseLogDirectives(text);
  if (directives === undefined) {
    throw new InvalidArgumentError(
      `give a level or TARGET:LEVEL; levels: ${LOG_LEVELS.join(", ")}.`,
    );
  }
  const targets = [...directives.targets].map(([target, level]) => `${target}=${level}`);
  return [...targets, ...(directives.level === undefined ? [] : [directives.level])].join(",");
}
