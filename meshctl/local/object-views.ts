/**
 * The published objects with what istiod-lite wrote about them: what an API server would answer.
 */
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import type { MeshPrograms } from "#meshctl/local/mesh-programs.ts";
import type { Overlay, Publisher } from "#meshctl/local/publisher.ts";

/** Objects of a kind, of all namespaces if none is given, by namespace and name. */
export async function listObjects(
  publisher: Publisher,
  mesh: MeshPrograms | undefined,
  kind: string,
  namespace: string | undefined,
): Promise<readonly KubernetesObject[]> {
  const published = [...publisher.objects.values()];
  const istiod = mesh?.all.slice(0, 1).map((program) => program.view(new Date())) ?? [];
  const found = [...published, ...istiod].filter(
    (object) =>
      object.kind === kind &&
      (namespace === undefined || (object.metadata.namespace ?? namespace) === namespace),
  );
  const merged = await Promise.all(
    found.map(async (object) => merge(object, await publisher.overlay(object))),
  );
  const place = (object: KubernetesObject) =>
    `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
  return merged.sort((a, b) => (place(a) < place(b) ? -1 : 1));
}

/** Annotations and conditions of the overlay win; conditions of other types stay. */
export function merge<Object extends KubernetesObject>(
  object: Object,
  overlay: Overlay | undefined,
): Object {
  if (overlay === undefined) return object;
  const annotations = { ...object.metadata.annotations, ...overlay.metadata?.annotations };
  const status = "status" in object ? (object.status ?? {}) : {};
  const own = conditionsOf(status);
  const added = conditionsOf(overlay.status ?? {});
  const types = new Set(added.map((condition) => condition.type));
  const conditions = [...own.filter((condition) => !types.has(condition.type)), ...added];
  return {
    ...object,
    metadata: { ...object.metadata, annotations },
    ...(overlay.status === undefined
      ? {}
      : { status: { ...status, ...overlay.status, conditions } }),
  };
}

function conditionsOf(status: object): readonly { readonly type: string }[] {
  const { conditions } = status as { conditions?: unknown };
  return Array.isArray(conditions) ? conditions : [];
}
