/** To which namespaces a service is there (`exportTo`, ambient.md F34). */
import type { KubeService, ServiceEntry } from "#common/kubernetes/objects.ts";
import type { Visibility } from "#common/model/service.ts";

// Source: istio/api annotation/annotations.yaml.
const EXPORT_TO_ANNOTATION = "networking.istio.io/exportTo";

export interface Exported {
  /** "none": no proxy hears of the service. */
  readonly visibility: Visibility | "none";
  /** Namespaces that were named but do not see it. */
  readonly excluded: readonly string[];
}

/**
 * Proxies know services of all namespaces and of their own one only. A list of others is therefore
 * narrowed to what can be said, never widened.
 */
export function exportedTo(targets: readonly string[], namespace: string): Exported {
  if (targets.length === 0 || targets.includes("*")) return { visibility: "public", excluded: [] };
  const isOwn = (target: string) => target === "." || target === namespace;
  const excluded = targets.filter((target) => !isOwn(target) && target !== "~");
  return { visibility: targets.some(isOwn) ? "namespace" : "none", excluded };
}

export function serviceExport(service: KubeService): Exported {
  const text = service.metadata.annotations?.[EXPORT_TO_ANNOTATION] ?? "";
  const targets = text.split(",").map((target) => target.trim());
  const given = targets.filter((target) => target !== "");
  return exportedTo(given, service.metadata.namespace ?? "default");
}

export function entryExport(entry: ServiceEntry): Exported {
  return exportedTo(entry.spec.exportTo ?? [], entry.metadata.namespace ?? "default");
}
