/** Which pods should be in the mesh, and which of them are. Pure. */
import type { Namespace, Pod } from "#common/kubernetes/objects.ts";
import { DATAPLANE_MODE_LABEL, REDIRECTION_ANNOTATION } from "#meshctl/annotations.ts";

/** Running pods that a label enrols: their own before their namespace's. */
export function enrolledPods(
  pods: readonly Pod[],
  namespaces: readonly Namespace[],
): readonly Pod[] {
  const modes = new Map(
    namespaces.map(({ metadata }) => [metadata.name, metadata.labels?.[DATAPLANE_MODE_LABEL]]),
  );
  return pods.filter(({ metadata, spec, status }) => {
    const mode = metadata.labels?.[DATAPLANE_MODE_LABEL] ?? modes.get(metadata.namespace ?? "");
    const isRunning = status?.phase === "Running" && metadata.deletionTimestamp === undefined;
    return mode === "ambient" && isRunning && spec.hostNetwork !== true;
  });
}

export function isCaptured({ metadata }: Pod): boolean {
  return metadata.annotations?.[REDIRECTION_ANNOTATION] === "enabled";
}

export function podName({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name}`;
}
