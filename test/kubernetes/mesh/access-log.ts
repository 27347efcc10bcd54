/** The access logs of ztunnels in a cluster. */
import { type AccessLogRecord, parseAccessLog } from "#test/support/access-log.ts";
import type { KubernetesCluster } from "../harness/cluster.ts";
import { waitFor } from "../harness/wait-for.ts";

/** The names of the ztunnel pods of a node: two while one takes over from the other. */
export async function ztunnelsOf(cluster: KubernetesCluster, node: string): Promise<string[]> {
  const args = ["get", "pods", "-n", "istio-system", "-l", "app=ztunnel"];
  const where = [
    `--field-selector=spec.nodeName=${node}`,
    "-o",
    "jsonpath={.items[*].metadata.name}",
  ];
  return (await cluster.check([...args, ...where])).split(" ").filter(Boolean);
}

/**
 * Waits for a record of that node's ztunnel whose fields have these values; `ask` comes before each
 * look.
 */
export async function waitForAccess(
  cluster: KubernetesCluster,
  node: string,
  wanted: Readonly<Record<string, string | RegExp>>,
  ask?: () => Promise<unknown>,
): Promise<AccessLogRecord> {
  const shown = JSON.stringify(wanted, (_, value) =>
    value instanceof RegExp ? String(value) : value,
  );
  return await waitFor(`a line of the access log of ${node} with ${shown}`, async () => {
    await ask?.();
    const names = await ztunnelsOf(cluster, node);
    const logs = await Promise.all(names.map((name) => cluster.logs(`istio-system/${name}`)));
    return logs.flatMap(parseAccessLog).find((record) => matches(record, wanted));
  });
}

function matches(
  record: AccessLogRecord,
  wanted: Readonly<Record<string, string | RegExp>>,
): boolean {
  return Object.entries(wanted).every(([field, value]) => {
    const found = record[field];
    if (found === undefined) return false;
    return value instanceof RegExp ? value.test(found) : found === value;
  });
}
