/** `meshctl get`: the objects of a cluster, with what the mesh says about them. */
import { type Command, Option } from "commander";
import { stringify } from "yaml";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { MeshError } from "#common/runtime/errors.ts";
import {
  type ClusterOption,
  withCluster,
  withClusterOption,
} from "#meshctl/cluster-access/connect.ts";
import type { MeshCluster } from "#meshctl/cluster-access/mesh-cluster.ts";
import { ageOf, columnsOf } from "#meshctl/get/columns.ts";
import { EVENT_NAMES, getEvents } from "#meshctl/get/events.ts";
import { resolveKind } from "#meshctl/get/resource-kinds.ts";
import { formatTable } from "./table.ts";

interface GetOptions extends ClusterOption {
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly output?: "json" | "yaml" | "wide" | "name";
}

export function addGet(program: Command): void {
  withClusterOption(program.command("get"))
    .description(
      "List objects: pods with node, address, mesh state and identity, and everything else.",
    )
    .argument("<kind>", "pods, services, nodes, namespaces, authorizationpolicies, events, …")
    .argument("[name]", "only this one")
    .option("-n, --namespace <namespace>", "of this namespace (default, or the context's)")
    .option("-A, --all-namespaces", "of all namespaces")
    .addOption(
      new Option("-o, --output <format>", "how to show them").choices([
        "json",
        "yaml",
        "wide",
        "name",
      ]),
    )
    .action(get);
}

function get(kindName: string, name: string | undefined, options: GetOptions): Promise<void> {
  return withCluster(options, (cluster) => show(cluster, kindName, name, options));
}

async function show(
  cluster: MeshCluster,
  kindName: string,
  name: string | undefined,
  options: GetOptions,
): Promise<void> {
  const where = options.namespace ?? cluster.defaultNamespace;
  if (name === undefined && EVENT_NAMES.includes(kindName.toLowerCase())) {
    return getEvents(cluster, options.allNamespaces ? undefined : where, options.output);
  }
  const { kind, namespaced } = resolveKind(kindName);
  const all = !namespaced || options.allNamespaces === true;
  const namespace = all ? undefined : where;
  const items = await cluster.objects(kind, namespace);
  const found = name === undefined ? items : items.filter((item) => item.metadata.name === name);
  if (found.length === 0 && (name !== undefined || !isDocument(options))) {
    const place = namespace === undefined ? "" : ` in namespace ${namespace}`;
    const text = `there is no ${kind}${name === undefined ? "" : ` ${name}`}${place}`;
    const hint = `meshctl get ${kindName}${namespaced ? " -A" : ""}`;
    if (name !== undefined) throw new MeshError("NOTHING_FOUND", text, { hint });
    // As kubectl: an empty list is an answer, not a failure.
    process.stderr.write(`${text}${all ? "" : `\nnext: ${hint}`}\n`);
    return;
  }
  process.stdout.write(format(found, namespaced, name !== undefined, options));
}

function isDocument({ output }: GetOptions): boolean {
  return output === "json" || output === "yaml";
}

function format(
  objects: readonly KubernetesObject[],
  namespaced: boolean,
  single: boolean,
  { output, allNamespaces = false }: GetOptions,
): string {
  if (output === "name") {
    return objects.map(({ kind, metadata }) => `${kind.toLowerCase()}/${metadata.name}\n`).join("");
  }
  if (output === "json" || output === "yaml") {
    const list = { apiVersion: "v1", kind: "List", items: objects };
    const value = single && objects.length === 1 ? objects[0] : list;
    return output === "json" ? `${JSON.stringify(value, null, 2)}\n` : stringify(value);
  }
  const now = new Date();
  const withNamespace = namespaced && (allNamespaces || single);
  const [first] = objects;
  const own = first === undefined ? [] : columnsOf(first, output === "wide").header;
  const header = [...(withNamespace ? ["NAMESPACE"] : []), "NAME", ...own, "AGE"];
  const rows = objects.map((object) => [
    ...(withNamespace ? [object.metadata.namespace ?? ""] : []),
    object.metadata.name,
    ...columnsOf(object, output === "wide").cells,
    ageOf(object, now),
  ]);
  return formatTable(header, rows);
}
