/** kubectl against one cluster: what a person would type. */
import { dirname, join } from "node:path";
import { type RunOptions, type RunResult, run } from "#test/support/run.ts";

/** A pod as "namespace/name", or anything `kubectl exec` takes: "shop/deploy/web". */
export type PodReference = string;

const DEFAULT_TIMEOUT_MS = 120_000;

export class Kubectl {
  readonly #program: string;
  readonly #kubeconfig: string;

  constructor(program: string, kubeconfig: string) {
    this.#program = program;
    this.#kubeconfig = kubeconfig;
  }

  /** The result, whatever it is. */
  run(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const cache = join(dirname(this.#kubeconfig), "kubectl-cache");
    const own = [`--kubeconfig=${this.#kubeconfig}`, `--cache-dir=${cache}`];
    return run([this.#program, ...own, ...args], { timeoutMs: DEFAULT_TIMEOUT_MS, ...options });
  }

  /** Its standard output; throws unless it succeeds. */
  async check(args: readonly string[], options?: RunOptions): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code === 0) return stdout;
    throw new Error(`kubectl ${args.join(" ")} ended with ${code}: ${stderr || stdout}`);
  }

  /** YAML text, or objects. */
  async apply(...objects: readonly (string | object)[]): Promise<string> {
    // JSON is YAML.
    const texts = objects.map((each) => (typeof each === "string" ? each : JSON.stringify(each)));
    return await this.check(["apply", "-f", "-"], { stdin: texts.join("\n---\n") });
  }

  /** Runs a command in a pod; the result, whatever it is. */
  exec(
    pod: PodReference,
    command: readonly string[],
    options: RunOptions & { readonly container?: string } = {},
  ): Promise<RunResult> {
    const { container, ...others } = options;
    const [namespace, name] = splitReference(pod);
    const chosen = container === undefined ? [] : ["-c", container];
    const stdin = options.stdin === undefined ? [] : ["-i"];
    const args = ["exec", "-n", namespace, name, ...chosen, ...stdin, "--", ...command];
    return this.run(args, others);
  }

  async logs(pod: PodReference, container?: string): Promise<string> {
    const [namespace, name] = splitReference(pod);
    const chosen = container === undefined ? "--all-containers" : `--container=${container}`;
    return await this.check(["logs", "-n", namespace, name, chosen]);
  }

  /** Waits until every replica of "namespace/deploy/name" (or ds, sts) is the newest and ready. */
  async rolledOut(workload: string, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<void> {
    const [namespace, name] = splitReference(workload);
    const limit = `--timeout=${Math.ceil(timeoutMs / 1000)}s`;
    const args = ["rollout", "status", "-n", namespace, name, limit];
    await this.check(args, { timeoutMs: timeoutMs + 5_000 });
  }
}

function splitReference(reference: string): [namespace: string, name: string] {
  const slash = reference.indexOf("/");
  if (slash < 0) throw new Error(`${reference} is not namespace/name`);
  return [reference.slice(0, slash), reference.slice(slash + 1)];
}
