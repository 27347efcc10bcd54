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
}

/** Starts a process that outlives this one, and tells its pid once it says that it goes. */
const DETACH = `const stdio = ["ignore", "ignore", "ignore", "ipc"];
const child = require("node:child_process")
  .spawn(process.execPath, process.argv.slice(1), { detached: true, stdio });
child.once("message", () => process.stdout.write(String(child.pid), () => process.exit()));`;

let loads = 0;

/** Sends requests from a pod of `loadClient` for as long as `work` takes. */
export async function loadDuring(
  cluster: KubernetesCluster,
  from: string,
  { url, perSecond }: LoadSettings,
  work: () => Promise<unknown>,
): Promise<LoadReport> {
  const node = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await cluster.exec(from, ["node", "-e", ...args]);
    if (code !== 0) throw new Error(`no load from ${from}: ${stderr}`);
    return stdout;
  };
  loads += 1;
  const file = `/tmp/load-${loads}.json`;
  const pid = await node(DETACH, "/scripts/load.ts", url, String(perSecond), file);
  const stop = `try { process.kill(${pid}) } catch {}`;
  const end = () => waitFor("the load to end", async () => [await node(stop)]);
  try {
    await work();
  } catch (error) {
    // The next test is not to be loaded by this one.
    await end().catch(() => undefined);
    throw error;
  }
  await end();
  const read = `process.stdout.write(fs.readFileSync("${file}"))`;
  return await waitFor(`the load from ${from}`, async () => JSON.parse(await node(read)));
}
