/**
 * The published objects with what istiod-lite wrote about them: what an API server would answer.
 */
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { applyOverlay } from "#common/kubernetes/overlay.ts";
import type { MeshPrograms } from "#meshctl/local/mesh/mesh-programs.ts";
import type { Publisher } from "#meshctl/local/objects/publisher.ts";
import type { ObjectEvent } from "./api.ts";

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
    found.map(async (object) => {
      const overlay = await publisher.overlay(object);
      return overlay === undefined ? object : applyOverlay(object, overlay);
    }),
  );
  const place = (object: KubernetesObject) =>
    `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
  return merged.sort((a, b) => (place(a) < place(b) ? -1 : 1));
}

/** Events about objects that are there, of all namespaces if none is given; newest last. */
export async function listEvents(
  publisher: Publisher,
  namespace: string | undefined,
): Promise<readonly ObjectEvent[]> {
  const objects = [...publisher.objects.values()].filter(
    ({ metadata }) => namespace === undefined || metadata.namespace === namespace,
  );
  const found = await Promise.all(
    objects.map(async (object) => {
      const { kind, metadata } = object;
      const about = { kind, namespace: metadata.namespace ?? "", name: metadata.name };
      const { events = [] } = (await publisher.overlay(object)) ?? {};
      return events.map((event) => ({ ...event, ...about }));
    }),
  );
  const when = ({ lastTimestamp }: ObjectEvent) => Date.parse(lastTimestamp);
  return found.flat().sort((a, b) => when(a) - when(b));
}
