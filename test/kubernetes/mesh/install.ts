/** Puts the mesh into a cluster as its documentation says, and takes it out again. */
import { join } from "node:path";
import { ROOT } from "../../house/tree.ts";
import type { KubernetesCluster } from "../harness/cluster.ts";
import { gatewayApiCrds } from "../harness/official-crds.ts";

const BASE = join(ROOT, "manifests/base");
const CRDS = join(ROOT, "manifests/crds");

/** Two replicas and two nodes' ztunnels, on a machine that may be slow. */
const ROLLOUT_TIMEOUT_MS = 200_000;

/** Resolves when the control plane and every ztunnel are ready. */
export async function installMesh(cluster: KubernetesCluster): Promise<void> {
  await cluster.check(["apply", "--server-side", "-k", CRDS]);
  await cluster.check(["apply", "--server-side", "-f", "-"], {
    stdin: (await gatewayApiCrds()).map((crd) => JSON.stringify(crd)).join("\n---\n"),
  });
  const established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
  await cluster.check(established);
  await cluster.check(["apply", "--server-side", "-k", BASE]);
  await meshRolledOut(cluster);
}

/**
 * The opposite; resolves when no pod of the mesh is left. ztunnel goes first: it lets pods go while
 * istiod can still tell that no other ztunnel follows.
 */
export async function uninstallMesh(cluster: KubernetesCluster): Promise<void> {
  const ztunnel = ["-n", "istio-system", "daemonset/ztunnel"];
  await cluster.check(["delete", "--cascade=foreground", "--wait", ...ztunnel]);
  await cluster.check(["delete", "--ignore-not-found", "--wait", "-k", BASE]);
}

export async function meshRolledOut(cluster: KubernetesCluster): Promise<void> {
  await cluster.rolledOut("istio-system/deploy/istiod", ROLLOUT_TIMEOUT_MS);
  await cluster.rolledOut("istio-system/ds/ztunnel", ROLLOUT_TIMEOUT_MS);
}
