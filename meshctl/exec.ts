/**
 * `meshctl exec`: runs a command in a pod; terminal, input, output and exit status are the
 * command's.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import type { Command } from "commander";
import { MeshError } from "#common/runtime/errors.ts";
import { type ClusterOption, connect, withClusterOption } from "#meshctl/connect.ts";
import { enterPod } from "#meshctl/local/enter.ts";
import { DEFAULT_NAMESPACE, resolveContainer, resolvePod } from "#meshctl/resolve-pod.ts";

interface ExecOptions extends ClusterOption {
  readonly namespace: string;
  readonly container?: string;
}

export function addExec(program: Command): void {
  withClusterOption(program.command("exec"))
    .description("Run a command in a pod.")
    .usage("POD [-n NAMESPACE] [-c CONTAINER] -- COMMAND [ARGUMENT...]")
    .argument("<pod>", "a pod's name, or deploy/NAME for one of its pods")
    .argument("<command...>", "what to run there")
    .option("-n, --namespace <namespace>", "the pod's namespace", DEFAULT_NAMESPACE)
    .option("-c, --container <container>", "whose environment to use (the first)")
    .option("-i, --stdin", "accepted as kubectl's; input is always passed on")
    .option("-t, --tty", "accepted as kubectl's; a terminal is always passed on")
    .passThroughOptions(false)
    .action(exec);
}

async function exec(
  reference: string,
  command: readonly string[],
  options: ExecOptions,
): Promise<void> {
  const client = await connect(options);
  const pod = await resolvePod(client, reference, options.namespace);
  const container = resolveContainer(pod, options.container);
  if (pod.sandboxPid === undefined) {
    throw new MeshError("NOT_RUNNING", `pod ${pod.name} is not running`, {
      hint: `meshctl get pods -n ${options.namespace} says why`,
    });
  }
  const target = { proc: `/proc/${client.initPid}/root/proc`, pid: pod.sandboxPid };
  const [file = "", ...args] = enterPod(target, command, container.workingDir);
  const { TERM = "dumb" } = process.env;
  // Ctrl-C is for the command; its end is then the end of this.
  process.on("SIGINT", () => undefined);
  const child = spawn(file, args, { stdio: "inherit", env: { TERM, ...container.env } });
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    // A shell's convention for a command that was ended by a signal.
    child.on("exit", (code, signal) =>
      resolve(code ?? 128 + constants.signals[signal ?? "SIGKILL"]),
    );
  });
}
