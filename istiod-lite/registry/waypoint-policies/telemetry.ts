/**
 * Telemetry, resolved for one target: the root namespace's, then the namespace's, then what is
 * attached to it; of each part the last that says something counts. Source: istio/istio
 * pilot/pkg/model/telemetry.go.
 */
import type {
  MetricsOverride,
  Telemetry as TelemetryObject,
} from "#common/kubernetes/l7-policy-objects.ts";
import type { Telemetry } from "#common/model/waypoint/policy.ts";
import type { MeshConfig } from "./mesh-config.ts";

type Spec = NonNullable<TelemetryObject["spec"]>;
type Tracing = NonNullable<Spec["tracing"]>[number];

/** Istio's default, in percent. */
const DEFAULT_SAMPLING = 1;

/** `layers`: from the widest to the narrowest. */
export function resolveTelemetry(layers: readonly TelemetryObject[], mesh: MeshConfig): Telemetry {
  const specs = layers.flatMap(({ spec }) => spec ?? []);
  const tracing = tracingOf(specs, mesh);
  return {
    accessLog: accessLogOf(specs, mesh),
    metrics: metricsOf(specs.flatMap(({ metrics = [] }) => metrics.flatMap(overridesOf))),
    ...(tracing && { tracing }),
  };
}

function overridesOf({
  overrides = [],
}: NonNullable<Spec["metrics"]>[number]): readonly MetricsOverride[] {
  return overrides;
}

/** Waypoints log, as ztunnels do, unless the mesh configuration or a Telemetry says otherwise. */
function accessLogOf(specs: readonly Spec[], mesh: MeshConfig): Telemetry["accessLog"] {
  const last = specs.flatMap(({ accessLogging = [] }) => accessLogging).at(-1);
  const enabled = last === undefined ? (mesh.accessLog ?? true) : last.disabled !== true;
  const minimumStatus = statusFilter(last?.filter?.expression);
  return {
    enabled,
    format: mesh.accessLogFormat,
    ...(minimumStatus !== undefined && { filter: { minimumStatus } }),
  };
}

/** The one expression that is understood; with any other, every request is logged. */
export function statusFilter(expression: string | undefined): number | undefined {
  const found = /^\s*response\.code\s*(>=|>)\s*([1-5][0-9]{2})\s*$/.exec(expression ?? "");
  if (found === null) return undefined;
  const [, operator, code] = found;
  return Number(code) + (operator === ">" ? 1 : 0);
}

function metricsOf(overrides: readonly MetricsOverride[]): Telemetry["metrics"] {
  const removed = new Set<string>();
  let enabled = true;
  for (const { match, disabled, tagOverrides = {} } of overrides) {
    const every = (match?.metric ?? "ALL_METRICS") === "ALL_METRICS";
    if (every && disabled !== undefined) enabled = !disabled;
    for (const [label, { operation = "UPSERT" }] of Object.entries(tagOverrides)) {
      if (operation === "REMOVE") removed.add(label);
      else removed.delete(label);
    }
  }
  return { enabled, removedLabels: [...removed].sort() };
}

function tracingOf(specs: readonly Spec[], mesh: MeshConfig): Telemetry["tracing"] {
  const all = specs.flatMap(({ tracing = [] }) => tracing);
  const named = lastGiven(all, ({ providers }) => providers?.[0]?.name) ?? mesh.defaultTracer;
  const provider = named === undefined ? undefined : mesh.tracers.get(named);
  const disabled = lastGiven(all, ({ disableSpanReporting }) => disableSpanReporting) ?? false;
  if (provider === undefined || disabled) return undefined;
  const tags = all.flatMap(({ customTags = {} }) => Object.entries(customTags));
  const customTags: Record<string, { kind: "literal" | "header"; value: string }> = {};
  for (const [tag, { literal, header }] of tags) {
    if (literal !== undefined) customTags[tag] = { kind: "literal", value: literal.value };
    else if (header !== undefined) {
      customTags[tag] = { kind: "header", value: header.name.toLowerCase() };
    }
  }
  const percent = lastGiven(all, ({ randomSamplingPercentage }) => randomSamplingPercentage);
  return { samplingPercent: percent ?? DEFAULT_SAMPLING, ...provider, customTags };
}

function lastGiven<Value>(
  all: readonly Tracing[],
  pick: (tracing: Tracing) => Value | undefined,
): Value | undefined {
  return all.map(pick).findLast((value) => value !== undefined);
}
