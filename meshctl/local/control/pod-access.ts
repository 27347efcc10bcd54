/** What it takes to enter a pod, and to read its logs. */

import type { MeshPrograms } from "#meshctl/local/mesh/mesh-programs.ts";
import type { ClusterPaths } from "#meshctl/local/paths.ts";
import type { PodRuntime } from "#meshctl/local/pod/pod-runtime.ts";
import type { PodAccess } from "./api.ts";

export function podAccess(runtime: PodRuntime, paths: ClusterPaths): PodAccess {
  const { metadata, spec } = runtime.pod;
  const { namespace = "default", name } = metadata;
  const { sandboxPid } = runtime;
  return {
    namespace,
    name,
    ...(sandboxPid === undefined ? {} : { sandboxPid }),
    containers: spec.containers.map((container) => {
      const pid = runtime.containerPid(container.name);
      return {
        name: container.name,
        ...(container.workingDir === undefined ? {} : { workingDir: container.workingDir }),
        env: runtime.containerEnv(container),
        log: paths.containerLog(namespace, name, container.name),
        ...(pid === undefined ? {} : { pid }),
      };
    }),
  };
}

/** A program of the mesh can be looked into like a pod: its network, its log. */
export function meshPodAccess(
  mesh: MeshPrograms | undefined,
  namespace: string,
  name: string,
): PodAccess | undefined {
  const program = mesh?.all.find(
    ({ spec }) => spec.pod.metadata.name === name && spec.pod.metadata.namespace === namespace,
  );
  if (program === undefined) return undefined;
  const { pid, spec, container, env } = program;
  const optional = pid === undefined ? {} : { pid };
  return {
    namespace,
    name,
    ...(pid === undefined ? {} : { sandboxPid: pid }),
    containers: [{ name: container?.name ?? "", env, log: spec.log, ...optional }],
  };
}
