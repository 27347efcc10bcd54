/**
 * What is to run for a Gateway: the rendered objects with what people set for its class
 * (ConfigMap labelled gateway.istio.io/defaults-for-class) and for itself
 * (spec.infrastructure.parametersRef) merged in, the nearer one last, and checked as if a user had
 * applied them. Source: Istio's "Gateway customization".
 */
import type { ConfigMap, Gateway, KubernetesObject } from "#common/kubernetes/objects.ts";
import { parseYaml } from "#common/kubernetes/parse-yaml.ts";
import { formatField } from "#common/kubernetes/problem.ts";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";
import { mergePatch } from "./merge-patch.ts";
import { type RenderOptions, renderWaypoint } from "./render-waypoint.ts";

export type WaypointObjects =
  | { readonly objects: readonly KubernetesObject[] }
  /** Why they cannot be made as they were asked for. */
  | { readonly problem: string };

/** Keys of the ConfigMaps that are about objects which are not made here: nothing to do. */
const IGNORED: ReadonlySet<string> = new Set(["horizontalPodAutoscaler", "podDisruptionBudget"]);

/** `parameters`: ConfigMaps, the nearer one last. */
export function waypointObjects(
  gateway: Gateway,
  parameters: readonly ConfigMap[],
  options: RenderOptions,
): WaypointObjects {
  const rendered: Record<string, unknown> = { ...renderWaypoint(gateway, options) };
  for (const { metadata, data = {} } of parameters) {
    for (const [key, text] of Object.entries(data)) {
      if (IGNORED.has(key)) continue;
      const where = `ConfigMap ${metadata.namespace}/${metadata.name}, ${key}`;
      if (!Object.hasOwn(rendered, key)) {
        return { problem: `${where}: known are ${Object.keys(rendered).join(", ")}` };
      }
      const { documents, problems } = parseYaml(text, where);
      const [problem] = problems;
      if (problem !== undefined) return { problem: `${where}: ${problem.message}` };
      if (documents.length > 1) return { problem: `${where}: more than one document` };
      rendered[key] = mergePatch(rendered[key], documents[0]?.value ?? {});
    }
  }
  const objects: KubernetesObject[] = [];
  for (const [key, value] of Object.entries(rendered)) {
    const { object, issues } = validateObject(value);
    const error = issues.find(({ severity }) => severity === "error");
    if (object === undefined) {
      const field = formatField(error?.path ?? []);
      return { problem: `${key}: ${field} ${error?.message ?? "is not valid"}` };
    }
    objects.push(object);
  }
  return { objects };
}
