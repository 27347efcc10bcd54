/** A cluster for all tests of one file; its logs are kept if one of them fails. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before } from "node:test";
import { type KubernetesCluster, type KubernetesOptions, startKubernetes } from "./cluster.ts";
import { sayOnStderr } from "./tools/say.ts";

/** A cold start on a machine that is ten times slower. */
const START_TIMEOUT_MS = 400_000;

/**
 * Registers the file's hooks; what is returned gives the cluster to its tests. `prepare` brings
 * into it what every test needs. Logs go to KUBERNETES_LOGS, or beside other temporary files.
 */
export function useKubernetes(
  options: KubernetesOptions | (() => Promise<KubernetesOptions>),
  prepare?: (cluster: KubernetesCluster) => Promise<void>,
): () => KubernetesCluster {
  let cluster: KubernetesCluster | undefined;
  const keepLogs = async () => {
    if (cluster === undefined) return;
    const folder = join(process.env.KUBERNETES_LOGS ?? tmpdir(), `kubernetes-logs-${process.pid}`);
    await cluster.collectLogs(folder);
    sayOnStderr(`the cluster's logs are in ${folder}`);
  };
  before(
    async () => {
      cluster = await startKubernetes(typeof options === "function" ? await options() : options);
      try {
        await prepare?.(cluster);
      } catch (error) {
        await keepLogs();
        throw error;
      }
    },
    { timeout: START_TIMEOUT_MS },
  );
  afterEach(async (context) => {
    if ("passed" in context && !context.passed) await keepLogs();
  });
  after(async () => await cluster?.stop());
  return () => {
    if (cluster === undefined) throw new Error("the cluster is there only while tests run");
    return cluster;
  };
}
