/** An object of the installation, as a manifest says it: any kind, in the API's own shape. */

import { MeshError } from "#common/runtime/errors.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";

export interface Manifest extends JsonObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: JsonObject & {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** `origin` is what errors call its place. Throws a MeshError for anything else. */
export function asManifest(value: unknown, origin: string): Manifest {
  const lacks = !isJsonObject(value)
    ? "is no object"
    : typeof value.apiVersion !== "string" || typeof value.kind !== "string"
      ? "has no apiVersion and kind"
      : !isJsonObject(value.metadata) || typeof value.metadata.name !== "string"
        ? "has no metadata.name"
        : undefined;
  if (lacks === undefined) return value as Manifest;
  throw new MeshError("MANIFEST", `${origin}: a document ${lacks}`, {
    hint: "every document of a manifest is one Kubernetes object",
  });
}

/** What runs: waited for, and what an installation is known by. */
export function isProgram({ kind }: Pick<Manifest, "kind">): boolean {
  return kind === "Deployment" || kind === "DaemonSet";
}

/** As kubectl writes it: `daemonset.apps/ztunnel`, with the namespace where there is one. */
export function nameOf({ apiVersion, kind, metadata: { name, namespace } }: Manifest): string {
  const [group, version] = apiVersion.split("/");
  const type = `${kind.toLowerCase()}${version === undefined ? "" : `.${group}`}`;
  return `${type}/${namespace === undefined ? "" : `${namespace}/`}${name}`;
}

/** The same object, whatever it says: group and kind, namespace and name. */
export function keyOf({ apiVersion, kind, metadata: { name, namespace = "" } }: Manifest): string {
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  return `${group}/${kind}/${namespace}/${name}`;
}
