/**
 * LOCAL_XDS_PATH and LOCAL_XDS: the mesh's state in the YAML of Istio's ztunnel, read once at
 * start, so that no istiod is needed, and one file drives either program. All of it is good or none
 * is used.
 */
import { readFile } from "node:fs/promises";
import { parse, type ScalarTag, type Tags } from "yaml";
import type { StateUpdate } from "#common/mesh-state/state-update.ts";
import { serviceKey } from "#common/model/address.ts";
import type { Workload } from "#common/model/workload.ts";
import type { ZdsWorkloadInfo } from "#common/model/zds.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { FieldReader } from "./field-reader.ts";
import { readPolicy } from "./read-policy.ts";
import { type LocalService, readService } from "./read-service.ts";
import { readWorkload } from "./read-workload.ts";

export interface LocalXdsDefaults {
  /** Of workloads that name none. */
  readonly trustDomain: string;
}

/** Throws MeshError LOCAL_XDS_INVALID, naming the field, or LOCAL_XDS_UNREADABLE. */
export async function loadLocalXds(
  source: { readonly file: string } | { readonly text: string },
  defaults: LocalXdsDefaults,
): Promise<StateUpdate> {
  if ("text" in source) return parseLocalXds(source.text, defaults);
  const { file } = source;
  try {
    return parseLocalXds(await readFile(file, "utf8"), defaults);
  } catch (cause) {
    const code = cause instanceof MeshError ? cause.code : "LOCAL_XDS_UNREADABLE";
    throw new MeshError(code, `cannot use LOCAL_XDS_PATH=${file}`, {
      cause,
      hint: "compare it with docs/configuration.md#a-mesh-in-one-file",
    });
  }
}

export function parseLocalXds(text: string, { trustDomain }: LocalXdsDefaults): StateUpdate {
  const root = new FieldReader(parseYaml(text), "");
  const f = root.isAbsent ? undefined : root.fields(["workloads", "policies", "services"]);
  const workloads = f?.workloads.list((field) => readWorkload(field, trustDomain)) ?? [];
  const services = f?.services.list(readService) ?? [];
  return {
    addresses: [
      ...withEndpoints(workloads, services).map((workload) => ({
        kind: "workload" as const,
        workload,
      })),
      ...services.map(({ service }) => ({ kind: "service" as const, service })),
    ],
    removedAddresses: [],
    policies: f?.policies.list(readPolicy) ?? [],
    removedPolicies: [],
  };
}

/**
 * The uid under which state knows a pod of the given name and account; undefined if it does not.
 */
export function workloadUidOf(
  workloads: Iterable<Workload>,
  { name, namespace, serviceAccount }: ZdsWorkloadInfo,
): string | undefined {
  for (const workload of workloads) {
    const sameName = workload.name === name && workload.namespace === namespace;
    if (sameName && workload.serviceAccount === serviceAccount) return workload.uid;
  }
  return undefined;
}

/** What a service says of its endpoints is said by the workloads here. */
function withEndpoints(
  workloads: readonly Workload[],
  services: readonly LocalService[],
): readonly Workload[] {
  const named = new Map(workloads.map((workload) => [workload.uid, workload]));
  for (const { service, endpoints } of services) {
    for (const { workloadUid, ports } of endpoints) {
      const workload = named.get(workloadUid);
      if (workload === undefined) {
        const text = `${serviceKey(service)} has endpoint ${workloadUid}, which is no workload`;
        throw new MeshError("LOCAL_XDS_INVALID", text);
      }
      const bound = new Map([...workload.services, [serviceKey(service), ports]]);
      named.set(workloadUid, { ...workload, services: bound });
    }
  }
  return [...named.values()];
}

/** serde writes an enum's variant as a tag: `!Exact text` is `{Exact: text}` here. */
const TAGS: Tags = [
  ...["Exact", "Prefix", "Suffix"].map(
    (name): ScalarTag => ({ tag: `!${name}`, resolve: (text) => ({ [name]: text }) }),
  ),
  { tag: "!Presence", collection: "seq", resolve: () => ({ Presence: [] }) as never },
];

function parseYaml(text: string): unknown {
  try {
    // Its warnings would go to standard error, past our log.
    return parse(text, { customTags: TAGS, maxAliasCount: 0, logLevel: "error" });
  } catch (error) {
    throw new MeshError("LOCAL_XDS_INVALID", `it is no YAML: ${describeError(error)}`);
  }
}
