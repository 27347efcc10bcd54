/** The environment and command line of a container, by Kubernetes' rules. */
import type { Container, EnvVar, Pod } from "#common/kubernetes/objects.ts";
import { CONTAINER_PATH } from "./images.ts";

/** What fieldRef can name, beside the pod's own metadata. */
export interface PodFacts {
  readonly pod: Pod;
  readonly podIps: readonly string[];
  readonly hostIp: string;
  readonly hostIps: readonly string[];
}

/**
 * The whole environment: nothing of the machine's own leaks in. A `$(NAME)` in a value means an
 * earlier variable, `$$` is a dollar sign, and a name that is not known stays as it is written.
 */
export function containerEnv(container: Container, facts: PodFacts): Record<string, string> {
  const env: Record<string, string> = {
    PATH: CONTAINER_PATH,
    HOME: "/root",
    HOSTNAME: facts.pod.metadata.name,
    LANG: "C.UTF-8",
  };
  for (const variable of container.env ?? []) {
    env[variable.name] = expand(variableValue(variable, facts), env);
  }
  return env;
}

/** Replaces `$(NAME)` by its value and `$$` by `$`. */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$(?:\$|\(([^()]+)\))/g, (match, name: string | undefined) => {
    if (name === undefined) return "$";
    return Object.hasOwn(env, name) ? (env[name] ?? match) : match;
  });
}

function variableValue(variable: EnvVar, facts: PodFacts): string {
  const path = variable.valueFrom?.fieldRef?.fieldPath;
  return path === undefined ? (variable.value ?? "") : (fieldValue(path, facts) ?? "");
}

/** The downward API's fields; undefined for one that does not exist. */
export function fieldValue(path: string, facts: PodFacts): string | undefined {
  const { metadata, spec } = facts.pod;
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed !== null) {
    const map = keyed[1] === "labels" ? metadata.labels : metadata.annotations;
    return map?.[keyed[2] ?? ""] ?? "";
  }
  const fields: Readonly<Record<string, string | undefined>> = {
    "metadata.name": metadata.name,
    "metadata.namespace": metadata.namespace,
    "metadata.uid": metadata.uid,
    "spec.nodeName": spec.nodeName,
    "spec.serviceAccountName": spec.serviceAccountName ?? "default",
    "status.podIP": facts.podIps[0],
    "status.podIPs": facts.podIps.join(","),
    "status.hostIP": facts.hostIp,
    "status.hostIPs": facts.hostIps.join(","),
  };
  return Object.hasOwn(fields, path) ? (fields[path] ?? "") : undefined;
}
