/** Dashboards and alerts ask for metrics, labels and pages that the programs really have. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseAllDocuments } from "yaml";

const ROOT = join(import.meta.dirname, "../..");
const FOLDER = "manifests/observability";

/** Of kubelet (cAdvisor) and of Node, by way of prom-client. */
const OF_OTHERS = new Set([
  "container_cpu_usage_seconds_total",
  "container_memory_working_set_bytes",
  "nodejs_eventloop_lag_p99_seconds",
]);

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: Readonly<Record<"x" | "y" | "w" | "h", number>>;
  readonly targets?: readonly { readonly expr: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string }[] };
}

const dashboards = globSync(`${FOLDER}/dashboards/*.json`, { cwd: ROOT }).map((path) => ({
  path,
  dashboard: JSON.parse(read(path)) as Dashboard,
}));

interface Rules {
  readonly spec: {
    readonly groups: readonly {
      readonly rules: readonly {
        readonly alert: string;
        readonly expr: string;
        readonly annotations: Readonly<Record<string, string>>;
      }[];
    }[];
  };
}

const alerts = parseAllDocuments(read(`${FOLDER}/prometheus-operator/rules.yaml`)).flatMap(
  (document) => (document.toJS() as Rules).spec.groups.flatMap(({ rules }) => rules),
);

/** Every text in the programs that looks like a metric's name. */
function metricsInCode(): Set<string> {
  const files = globSync("{common,istiod-lite,waypoint,ztunnel}/**/*.ts", { cwd: ROOT }).filter(
    (path) => !path.endsWith(".test.ts"),
  );
  const names = new Set<string>();
  for (const path of files) {
    for (const [, name = ""] of read(path).matchAll(/["`]([a-z]+(?:_[a-z0-9]+)+)["`]/g)) {
      names.add(name);
    }
  }
  return names;
}

/** Metric names in a PromQL expression: words with an underscore that are no label and no text. */
function metricsOf(expr: string): string[] {
  const bare = expr
    .replace(/\{[^}]*\}/g, "")
    .replace(/\b(by|without|on|ignoring) *\([^)]*\)/g, "")
    .replace(/\b(histogram_quantile|sort_desc|label_values) *\(/g, "(");
  return [...bare.matchAll(/\b[a-z]+(?:_[a-z0-9]+)+\b/g)].map(([name]) => name);
}

const base = (name: string): string => name.replace(/_(bucket|sum|count)$/, "");

describe("dashboards and alerts", () => {
  const code = metricsInCode();
  const isKnown = (name: string): boolean =>
    OF_OTHERS.has(name) || code.has(name) || code.has(base(name));

  it("use metrics that exist", () => {
    const expressions = [
      ...dashboards.flatMap(({ path, dashboard }) =>
        dashboard.panels.flatMap(({ title, targets = [] }) =>
          targets.map(({ expr }) => ({ where: `${path}: ${title}`, expr })),
        ),
      ),
      ...alerts.map(({ alert, expr }) => ({ where: alert, expr })),
    ];
    assert.ok(expressions.length > 60, `only ${expressions.length} expressions were found`);
    for (const { where, expr } of expressions) {
      const names = metricsOf(expr);
      assert.ok(names.length > 0, `${where} asks for no metric: ${expr}`);
      assert.deepEqual(
        names.filter((name) => !isKnown(name)),
        [],
        where,
      );
    }
  });

  it("are told apart by name, and panels by number and place", () => {
    assert.equal(new Set(dashboards.map(({ dashboard }) => dashboard.uid)).size, dashboards.length);
    for (const { path, dashboard } of dashboards) {
      assert.equal(path, `${FOLDER}/dashboards/${dashboard.uid}.json`);
      const ids = dashboard.panels.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length, path);
      for (const { title, gridPos } of dashboard.panels) {
        assert.ok(gridPos.x + gridPos.w <= 24, `${path}: ${title} does not fit`);
      }
    }
  });

  it("know the variables that they use", () => {
    for (const { path, dashboard } of dashboards) {
      const known = new Set(dashboard.templating.list.map(({ name }) => name));
      const used = [...JSON.stringify(dashboard).matchAll(/\$\{?([a-z_]+)\}?/g)]
        .map(([, name = ""]) => name)
        .filter((name) => !name.startsWith("__"));
      assert.deepEqual(
        used.filter((name) => !known.has(name)),
        [],
        path,
      );
    }
  });

  it("are all in the kustomization", () => {
    const text = read(`${FOLDER}/dashboards/kustomization.yaml`);
    for (const { dashboard } of dashboards) {
      assert.match(text, new RegExp(`- ${dashboard.uid}\\.json$`, "m"));
    }
  });

  it("say what to look at", () => {
    for (const { alert, annotations } of alerts) {
      assert.ok(annotations.summary && annotations.description, alert);
    }
  });
});
