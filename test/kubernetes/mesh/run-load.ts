/** Load from a pod, which goes on whatever happens to the API server meanwhile. */
import type { KubernetesCluster } from "../harness/cluster.ts";
import { waitFor } from "../harness/wait-for.ts";

/** What came of a load: see load.ts. */
export interface LoadReport {
  readonly sent: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly failures: readonly string[];
  /** Answers by the version that gave them. */
  readonly answeredBy: Readonly<Record<string, number>>;
}

export interface LoadSettings {
  readonly url: string;
  readonly perSecond: number;
  readonly seconds: number;
}

/** Starts a process that does not end with the command that started it. */
const DETACH = `require("node:child_process").spawn(process.execPath, process.argv.slice(1), {
  detached: true,
  stdio: "ignore",
}).unref();`;

let loads = 0;

/** Starts requests from a pod of `loadClient`; what is returned waits for what came of them. */
export async function startLoad(
  cluster: KubernetesCluster,
  from: string,
  { url, perSecond, seconds }: LoadSettings,
): Promise<() => Promise<LoadReport>> {
  loads += 1;
  const file = `/tmp/load-${loads}.json`;
  const script = ["/scripts/load.ts", url, String(perSecond), String(seconds), file];
  const { code, stderr } = await cluster.exec(from, ["node", "-e", DETACH, ...script]);
  if (code !== 0) throw new Error(`no load from ${from}: ${stderr}`);
  const read = `process.stdout.write(fs.readFileSync("${file}"))`;
  const look = async () => {
    const result = await cluster.exec(from, ["node", "-e", read]);
    return result.code === 0 && (JSON.parse(result.stdout) as LoadReport);
  };
  const timeoutMs = (seconds + 120) * 1_000;
  return () => waitFor(`the load from ${from}`, look, { timeoutMs, everyMs: 500 });
}
