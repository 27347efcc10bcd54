/** `meshctl get events`: what istiod-lite recorded about objects, as of `kubectl get events`. */
import { stringify } from "yaml";
import type { ClusterEvent, MeshCluster } from "#meshctl/cluster-access/mesh-cluster.ts";
import { formatAge, formatTable } from "#meshctl/table.ts";

/** The names by which people ask for them. */
export const EVENT_NAMES: readonly string[] = ["events", "event", "ev"];

/** Of all namespaces if none is given; what is wrong in the folder comes after the table. */
export async function getEvents(
  cluster: MeshCluster,
  namespace: string | undefined,
  output: string | undefined,
): Promise<void> {
  const items = await cluster.events(namespace);
  const where = namespace === undefined ? "" : ` in namespace ${namespace}`;
  if (output === "json") process.stdout.write(`${JSON.stringify({ items }, null, 2)}\n`);
  else if (output === "yaml") process.stdout.write(stringify({ items }));
  else if (items.length > 0) process.stdout.write(table(items, namespace === undefined));
  else process.stderr.write(`there is no Event${where}\n`);
  // A cluster that was started with --detach has no other place to say it.
  for (const problem of await cluster.problems()) process.stderr.write(`! ${problem}\n`);
}

function table(items: readonly ClusterEvent[], withNamespace: boolean): string {
  const now = new Date();
  const header = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"];
  const rows = items.map((event) => [
    ...(withNamespace ? [event.namespace] : []),
    formatAge(event.lastTimestamp, now),
    event.type,
    event.reason,
    `${event.kind.toLowerCase()}/${event.name}`,
    String(event.count),
    event.message,
  ]);
  return formatTable([...(withNamespace ? ["NAMESPACE"] : []), ...header], rows);
}
