/**
 * What is to run for a Gateway: the rendered objects with what people set for its class
 * (ConfigMap labelled gateway.istio.io/defaults-for-class) and for itself
 * (spec.infrastructure.parametersRef) merged in, the nearer one last, and checked as if a user had
 * applied them. Source: Istio's "Gateway customization".
 */
import type { ConfigMap, Gateway } from "#common/kubernetes/objects.ts";
import { parseYaml } from "#common/kubernetes/parse-yaml.ts";
import { formatField } from "#common/kubernetes/problem.ts";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";
import type { OwnedObject, ScalingObject } from "#istiod-lite/config/source.ts";
import { mergePatch } from "./merge-patch.ts";
import { renderScaling, renderWaypoint } from "./render-waypoint.ts";
import type { RenderOptions } from "./render-waypoint-pod.ts";

export type WaypointObjects =
  | { readonly objects: readonly OwnedObject[] }
  /** Why they cannot be made as they were asked for. */
  | { readonly problem: string };

/** Keys of ConfigMaps about objects that are made only where somebody says something of them. */
const SCALING = ["horizontalPodAutoscaler", "podDisruptionBudget"] as const;

/** `parameters`: ConfigMaps, the nearer one last. */
export function waypointObjects(
  gateway: Gateway,
  parameters: readonly ConfigMap[],
  options: RenderOptions,
): WaypointObjects {
  const rendered: Record<string, unknown> = { ...renderWaypoint(gateway, options) };
  const scaling: Readonly<Record<string, unknown>> = { ...renderScaling(gateway) };
  for (const { metadata, data = {} } of parameters) {
    for (const [key, text] of Object.entries(data)) {
      const where = `ConfigMap ${metadata.namespace}/${metadata.name}, ${key}`;
      if (Object.hasOwn(scaling, key)) rendered[key] ??= scaling[key];
      if (!Object.hasOwn(rendered, key)) {
        const known = [...Object.keys(renderWaypoint(gateway, options)), ...SCALING];
        return { problem: `${where}: known are ${known.join(", ")}` };
      }
      const { documents, problems } = parseYaml(text, where);
      const [problem] = problems;
      if (problem !== undefined) return { problem: `${where}: ${problem.message}` };
      if (documents.length > 1) return { problem: `${where}: more than one document` };
      rendered[key] = mergePatch(rendered[key], documents[0]?.value ?? {});
    }
  }
  const objects: OwnedObject[] = [];
  for (const [key, value] of Object.entries(rendered)) {
    if (Object.hasOwn(scaling, key)) {
      // The API server knows these kinds, and nobody here does.
      objects.push(value as ScalingObject);
      continue;
    }
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
