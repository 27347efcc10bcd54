/** `meshctl waypoint apply` and `delete`. */

import { MeshError } from "#common/runtime/errors.ts";
import { DATAPLANE_MODE_LABEL as DATAPLANE_MODE } from "#meshctl/annotations.ts";
import type { MeshCluster } from "#meshctl/cluster-access/mesh-cluster.ts";
import { WAYPOINT_POLL_MS } from "#meshctl/limits.ts";
import { until } from "#meshctl/until.ts";
import {
  type GatewayOptions,
  isWaypoint,
  programmedOf,
  REVISION,
  waypointGateway,
} from "#meshctl/waypoint-gateway.ts";

const USE_WAYPOINT = "istio.io/use-waypoint";

export interface ApplyOptions extends GatewayOptions {
  readonly enrollNamespace: boolean;
  readonly overwrite: boolean;
  readonly wait: boolean;
  readonly waypointTimeoutMs: number;
}

type Say = (line: string) => void;

export async function applyWaypoint(
  cluster: MeshCluster,
  options: ApplyOptions,
  say: Say,
): Promise<void> {
  const { namespace = cluster.defaultNamespace, enrollNamespace, overwrite } = options;
  const labels = (await cluster.namespaceLabels(namespace)) ?? {};
  if (enrollNamespace && !overwrite && (labels[USE_WAYPOINT] ?? "") !== "") {
    say(
      `Warning: namespace (${namespace}) already has an enrolled waypoint. ` +
        "Consider adding the `--overwrite` flag to your apply command.",
    );
    return;
  }
  if (enrollNamespace && labels[DATAPLANE_MODE] !== "ambient") {
    say(`Warning: namespace is not enrolled in ambient: label it ${DATAPLANE_MODE}=ambient`);
  }
  const gateway = waypointGateway({ ...options, namespace });
  const { name } = gateway.metadata;
  await cluster.putWaypoint(gateway);
  say(`waypoint ${namespace}/${name} applied`);
  if (options.wait) {
    await untilProgrammed(cluster, namespace, name, options.waypointTimeoutMs);
    say(`waypoint ${namespace}/${name} is ready!`);
  }
  if (!enrollNamespace) return;
  await cluster.labelNamespace(namespace, USE_WAYPOINT, name);
  say(`namespace ${namespace} labeled with "${USE_WAYPOINT}: ${name}"`);
}

/** Returns the names of those that were asked for and are not there. */
export async function deleteWaypoints(
  cluster: MeshCluster,
  namespace: string,
  names: readonly string[] | { readonly revision: string | undefined },
  say: Say,
): Promise<readonly string[]> {
  const wanted = "revision" in names ? await namesOf(cluster, namespace, names.revision) : names;
  const missing: string[] = [];
  for (const name of wanted) {
    const deleted = await cluster.deleteWaypoint(namespace, name);
    if (!deleted) missing.push(name);
    say(`waypoint ${namespace}/${name} ${deleted ? "deleted" : "not found"}`);
  }
  return missing;
}

/** Of a revision; all of them if none is given. */
async function namesOf(cluster: MeshCluster, namespace: string, revision: string | undefined) {
  const waypoints = (await cluster.objects("Gateway", namespace)).filter(isWaypoint);
  return waypoints
    .filter(({ metadata }) => revision === undefined || metadata.labels?.[REVISION] === revision)
    .map(({ metadata }) => metadata.name);
}

export async function untilProgrammed(
  cluster: MeshCluster,
  namespace: string,
  name: string,
  timeoutMs: number,
): Promise<void> {
  const look = async (): Promise<string | undefined> => {
    const items = await cluster.objects("Gateway", namespace);
    const gateway = items.filter(isWaypoint).find(({ metadata }) => metadata.name === name);
    const condition = gateway && programmedOf(gateway);
    if (condition?.status === "True") return undefined;
    return condition?.message ?? "nothing is said about it";
  };
  await until({ timeoutMs, pollMs: WAYPOINT_POLL_MS }, look, (why) => {
    const message = `timed out while waiting for waypoint ${namespace}/${name}: ${why}`;
    const hint = `meshctl get pods -n ${namespace}; meshctl logs deploy/${name} -n ${namespace}`;
    return new MeshError("NOT_PROGRAMMED", message, { hint });
  });
}
