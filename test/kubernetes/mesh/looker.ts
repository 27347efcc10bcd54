/** Pods whose first act is to look whether they are captured. */
import type { KubernetesCluster } from "../harness/cluster.ts";
import { waitFor } from "../harness/wait-for.ts";

/**
 * Shell commands: is anybody listening in this pod at ztunnel's outbound port, 15001, as
 * /proc/net/tcp writes it?
 */
export const LOOK =
  "grep -q ':3A99 .* 0A ' /proc/net/tcp /proc/net/tcp6 && echo captured || echo open";

/** "captured" or "open": what a pod has said that runs LOOK first. */
export async function sawAtStart(cluster: KubernetesCluster, pod: string): Promise<string> {
  return await waitFor(`${pod} to start`, async () => {
    return (await cluster.logs(pod)).trim() || undefined;
  });
}
