/** How every command that needs a running cluster finds it. */
import { type Command, Option } from "commander";
import { ControlClient } from "#meshctl/local/control-client.ts";
import { findCluster } from "#meshctl/local/find-clusters.ts";

/** The option by which one of several clusters is chosen. */
export interface ClusterOption {
  readonly name?: string;
}

export function withClusterOption(command: Command): Command {
  return command.addOption(
    new Option("--name <cluster>", "the cluster, where several are running").env("MESHCTL_CLUSTER"),
  );
}

/** Throws a MeshError that says what to type where there is no such cluster. */
export async function connect(options: ClusterOption): Promise<ControlClient> {
  const { initPid } = await findCluster(options.name);
  return new ControlClient(initPid);
}
