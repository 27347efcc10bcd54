/** `meshctl waypoint apply` and `delete`: they change the folder that the cluster follows. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Namespace } from "#common/kubernetes/objects.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { DATAPLANE_MODE_LABEL as DATAPLANE_MODE } from "#meshctl/annotations.ts";
import { ClusterFolder } from "#meshctl/cluster-folder.ts";
import { WAYPOINT_POLL_MS } from "#meshctl/limits.ts";
import type { ControlClient } from "#meshctl/local/control-client.ts";
import {
  type GatewayOptions,
  isWaypoint,
  programmedOf,
  REVISION,
  WAYPOINT_FOR,
  waypointGateway,
} from "#meshctl/waypoint-gateway.ts";

const USE_WAYPOINT = "istio.io/use-waypoint";

export interface ApplyOptions extends GatewayOptions {
  readonly namespace: string;
  readonly enrollNamespace: boolean;
  readonly overwrite: boolean;
  readonly wait: boolean;
  readonly waypointTimeoutMs: number;
}

type Say = (line: string) => void;

export async function applyWaypoint(
  client: ControlClient,
  options: ApplyOptions,
  say: Say,
): Promise<void> {
  const { namespace, enrollNamespace, overwrite } = options;
  const folder = await ClusterFolder.of(client);
  const found = await folder.find("Namespace", "", namespace);
  const labels = found?.object.metadata.labels ?? {};
  if (enrollNamespace && !overwrite && (labels[USE_WAYPOINT] ?? "") !== "") {
    say(
      `Warning: namespace (${namespace}) already has an enrolled waypoint. ` +
        "Consider adding the `--overwrite` flag to your apply command.",
    );
    return;
  }
  if (enrollNamespace && labels[DATAPLANE_MODE] !== "ambient") {
    say(
      `Warning: namespace is not enrolled in ambient: label it ${DATAPLANE_MODE}=ambient in the ` +
        "folder",
    );
  }
  const gateway = waypointGateway(options);
  const { name } = gateway.metadata;
  await putGateway(folder, options);
  await folder.taken();
  say(`waypoint ${namespace}/${name} applied`);
  if (options.wait) {
    await untilProgrammed(client, namespace, name, options.waypointTimeoutMs);
    say(`waypoint ${namespace}/${name} is ready!`);
  }
  if (!enrollNamespace) return;
  if (found !== undefined) {
    await folder.edit(found, (document) =>
      document.setIn(["metadata", "labels", USE_WAYPOINT], name),
    );
  } else await folder.write(`namespace-${namespace}.yaml`, enrolled(namespace, name));
  await folder.taken();
  say(`namespace ${namespace} labeled with "${USE_WAYPOINT}: ${name}"`);
}

/** Returns the names of those that were asked for and are not there. */
export async function deleteWaypoints(
  client: ControlClient,
  namespace: string,
  names: readonly string[] | { readonly revision: string | undefined },
  say: Say,
): Promise<readonly string[]> {
  const folder = await ClusterFolder.of(client);
  const { items } = await client.objects("Gateway", namespace);
  const there = items.filter(isWaypoint);
  const wanted =
    "revision" in names
      ? there
          .filter(({ metadata }) => {
            const { revision } = names;
            return revision === undefined || metadata.labels?.[REVISION] === revision;
          })
          .map(({ metadata }) => metadata.name)
      : names;
  const missing: string[] = [];
  for (const name of wanted) {
    const place = await folder.find("Gateway", namespace, name);
    if (place === undefined || !isWaypoint(place.object)) {
      missing.push(name);
      say(`waypoint ${namespace}/${name} not found`);
      continue;
    }
    await folder.remove(place);
    say(`waypoint ${namespace}/${name} deleted`);
  }
  await folder.taken();
  return missing;
}

/** A Gateway that is there keeps what else it says. */
async function putGateway(folder: ClusterFolder, options: ApplyOptions): Promise<void> {
  const gateway = waypointGateway(options);
  const { name, labels = {} } = gateway.metadata;
  const place = await folder.find("Gateway", options.namespace, name);
  if (place === undefined) {
    await folder.write(`waypoint-${options.namespace}-${name}.yaml`, gateway);
    return;
  }
  if (!isWaypoint(place.object)) {
    throw new MeshError("NAME_TAKEN", `Gateway ${options.namespace}/${name} is no waypoint`, {
      hint: `choose another --name; it is in ${place.file}:${place.line}`,
    });
  }
  await folder.edit(place, (document) => {
    for (const key of [WAYPOINT_FOR, REVISION]) {
      if (labels[key] !== undefined) document.setIn(["metadata", "labels", key], labels[key]);
    }
  });
}

export async function untilProgrammed(
  client: ControlClient,
  namespace: string,
  name: string,
  timeoutMs: number,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const { items } = await client.objects("Gateway", namespace);
    const gateway = items.filter(isWaypoint).find(({ metadata }) => metadata.name === name);
    const condition = gateway && programmedOf(gateway);
    if (condition?.status === "True") return;
    if (performance.now() > deadline) {
      const why = condition?.message ?? "nothing is said about it";
      const message = `timed out while waiting for waypoint ${namespace}/${name}: ${why}`;
      const hint = `meshctl get pods -n ${namespace}; meshctl logs deploy/${name} -n ${namespace}`;
      throw new MeshError("NOT_PROGRAMMED", message, { hint });
    }
    await sleep(WAYPOINT_POLL_MS);
  }
}

function enrolled(name: string, waypoint: string): Namespace {
  const labels = { [USE_WAYPOINT]: waypoint };
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
}
