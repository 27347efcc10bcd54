/** `meshctl waypoint list` and `status`, in istioctl's columns. */
import type { Gateway } from "#common/kubernetes/objects.ts";
import type { MeshCluster } from "#meshctl/cluster-access/mesh-cluster.ts";
import { formatTable } from "#meshctl/table.ts";
import { isWaypoint, programmedOf, REVISION, WAYPOINT_FOR } from "#meshctl/waypoint-gateway.ts";
import { untilProgrammed } from "./apply.ts";

export interface ListOptions {
  readonly namespace?: string;
  readonly allNamespaces: boolean;
}

export interface StatusOptions {
  readonly namespace?: string;
  readonly wait: boolean;
  readonly timeoutMs: number;
}

const NONE_FOUND = "No waypoints found.\n";
/** Spaces between istioctl's columns. */
const GAP = 5;

export async function listWaypoints(
  cluster: MeshCluster,
  { namespace = cluster.defaultNamespace, allNamespaces }: ListOptions,
): Promise<string> {
  const waypoints = await waypointsIn(cluster, allNamespaces ? undefined : namespace);
  if (waypoints.length === 0) return NONE_FOUND;
  const header = ["NAME", "REVISION", "TRAFFIC TYPE", "PROGRAMMED"];
  const rows = waypoints.map((gateway) => {
    const { name, namespace: place = "", labels = {} } = gateway.metadata;
    const cells = [
      name,
      labels[REVISION] || "default",
      labels[WAYPOINT_FOR] || "none",
      programmedOf(gateway)?.status ?? "False",
    ];
    return allNamespaces ? [place, ...cells] : cells;
  });
  return formatTable(allNamespaces ? ["NAMESPACE", ...header] : header, rows, GAP);
}

export async function waypointStatus(
  cluster: MeshCluster,
  { namespace, wait, timeoutMs }: StatusOptions,
): Promise<string> {
  const place = namespace ?? cluster.defaultNamespace;
  for (const { metadata } of wait ? await waypointsIn(cluster, place) : []) {
    await untilProgrammed(cluster, place, metadata.name, timeoutMs);
  }
  const waypoints = await waypointsIn(cluster, place);
  if (waypoints.length === 0) return NONE_FOUND;
  const header = ["NAME", "STATUS", "TYPE", "REASON", "MESSAGE"];
  const rows = waypoints.map((gateway) => {
    const { status = "Unknown", reason = "", message = "" } = programmedOf(gateway) ?? {};
    const cells = [gateway.metadata.name, status, "Programmed", reason, message];
    return namespace === undefined ? [place, ...cells] : cells;
  });
  return formatTable(namespace === undefined ? ["NAMESPACE", ...header] : header, rows, GAP);
}

async function waypointsIn(
  cluster: MeshCluster,
  namespace: string | undefined,
): Promise<readonly Gateway[]> {
  return (await cluster.objects("Gateway", namespace)).filter(isWaypoint);
}
