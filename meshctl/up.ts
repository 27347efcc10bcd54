/** `meshctl up`: makes a cluster out of namespaces and stays with it. */
import { type Command, Option } from "commander";
import { MeshError } from "#common/runtime/errors.ts";
import { type ClusterProcess, startClusterProcess } from "#meshctl/local/cluster-process.ts";
import type { ClusterEvent } from "#meshctl/local/events.ts";
import { addVariable, type Env } from "#meshctl/up/env-option.ts";
import { parseStockZtunnels } from "#meshctl/up/stock-ztunnel-option.ts";

interface UpOptions {
  readonly name: string;
  readonly detach?: boolean;
  readonly mesh: boolean;
  readonly ztunnel?: readonly string[];
  readonly ztunnelEnv?: Env;
  readonly istiodEnv?: Env;
}

/** A shell's status for a program that Ctrl-C ended. */
const INTERRUPTED = 130;

export function addUp(program: Command): void {
  program
    .command("up")
    .description(
      "Make a cluster on this machine from a folder of Kubernetes YAML, and follow the folder.",
    )
    .argument("[folder]", "the YAML; edit it while the cluster runs", ".")
    .addOption(
      new Option("--name <cluster>", "tells clusters on one machine apart")
        .default("ambient")
        .env("MESHCTL_CLUSTER"),
    )
    .option("-d, --detach", "return when the cluster is ready; it runs until `meshctl down`")
    .option("--no-mesh", "only nodes, pods and services: no istiod-lite, no ztunnel")
    .option(
      "--ztunnel <[node=]path>",
      "run this ztunnel binary (Istio's own, say) on every node, or on one; may be repeated",
      (value: string, before: readonly string[] = []) => [...before, value],
    )
    .option("--ztunnel-env <name=value>", "a variable for the ztunnels; may be repeated", variable)
    .option("--istiod-env <name=value>", "a variable for istiod-lite; may be repeated", variable)
    .action(up);
}

function variable(text: string, before: Env = {}): Env {
  return addVariable(text, before);
}

async function up(folder: string, options: UpOptions): Promise<void> {
  const { name, mesh, detach = false } = options;
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name)) {
    throw new MeshError("BAD_NAME", `${JSON.stringify(name)} is no name for a cluster`, {
      hint: "use lower-case letters, digits and dashes: --name my-cluster",
    });
  }
  const stockZtunnel = parseStockZtunnels(options.ztunnel ?? []);
  const interrupted = untilInterrupted();
  const { ztunnelEnv = {}, istiodEnv = {} } = options;
  const programs = { ztunnel: { env: ztunnelEnv }, istiod: { env: istiodEnv } };
  const settings = { name, folder, mesh, detached: detach, stockZtunnel, ...programs };
  const starting = startClusterProcess(settings, printEvent);
  const cluster = await Promise.race([starting, interrupted]);
  // What there is of it goes with this process.
  if (cluster === undefined) process.exit(INTERRUPTED);
  print(nextSteps(name));
  if (detach) {
    cluster.release();
    process.exit(0);
  }
  await follow(name, folder, cluster, interrupted);
}

async function follow(
  name: string,
  folder: string,
  cluster: ClusterProcess,
  interrupted: Promise<undefined>,
): Promise<void> {
  print(`following ${folder}; Ctrl-C takes everything away again`);
  const end = await Promise.race([
    cluster.ended.then(() => "ended" as const),
    interrupted.then(() => "interrupted" as const),
  ]);
  const failure = cluster.failure();
  if (end === "interrupted") {
    print(`taking ${name} away`);
    await cluster.stop();
  } else if (failure === undefined) print(`cluster ${name} was taken away`);
  else {
    throw new MeshError("CLUSTER_FAILED", `cluster ${name} ended by a failure: ${failure}`, {
      hint: `this is a defect of meshctl: please report it; meshctl up ${folder} starts it again`,
    });
  }
  process.exit(0);
}

/** Before the cluster is up, the kernel takes away what there is of it when this process ends. */
function untilInterrupted(): Promise<undefined> {
  return new Promise((resolve) => {
    const stop = () => {
      resolve(undefined);
      // A second Ctrl-C does not wait.
      process.once("SIGINT", () => process.exit(INTERRUPTED));
    };
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
    process.once("SIGHUP", stop);
  });
}

const MARKS = { progress: "·", ready: "✓", change: "~", problem: "!", fatal: "✗" } as const;

function printEvent(event: ClusterEvent): void {
  const hint = event.hint === undefined ? "" : `\n  next: ${event.hint}`;
  const line = `${MARKS[event.kind]} ${event.text}${hint}\n`;
  if (event.kind === "fatal") return; // The error that ends the command says the same.
  (event.kind === "problem" ? process.stderr : process.stdout).write(line);
}

function nextSteps(name: string): string {
  const option = name === "ambient" ? "" : ` --name ${name}`;
  return `next: meshctl get pods -A${option} · meshctl exec POD -n NAMESPACE${option} -- COMMAND`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
