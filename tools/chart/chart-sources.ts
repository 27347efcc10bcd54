/** What the Helm chart is made of: the manifests of an installation without an overlay. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { renderKustomization } from "#meshctl/install/kustomization.ts";
import type { Manifest } from "#meshctl/install/manifest.ts";

const MANIFESTS = join(import.meta.dirname, "../../manifests");
const DEFINITIONS = join(MANIFESTS, "crds");

/** Where the chart is. */
export const CHART = join(MANIFESTS, "chart");

export interface ChartSources {
  readonly manifests: readonly Manifest[];
  /** Files of CRDs, which Helm makes only where a cluster has none, and never changes. */
  readonly definitions: ReadonlyMap<string, string>;
}

export async function chartSources(): Promise<ChartSources> {
  const rendered = ["base", "waypoint-class"].map((name) =>
    renderKustomization(join(MANIFESTS, name)),
  );
  const names = readdirSync(DEFINITIONS).filter((name) => name !== "kustomization.yaml");
  const read = (name: string): string => readFileSync(join(DEFINITIONS, name), "utf8");
  const definitions = new Map(names.map((name) => [name, read(name)]));
  return { manifests: (await Promise.all(rendered)).flat(), definitions };
}
