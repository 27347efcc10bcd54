/** The Helm chart says what manifests/base says. */
import assert from "node:assert/strict";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { keyOf, type Manifest } from "#meshctl/install/manifest.ts";
import { chartFiles } from "./chart-files.ts";
import { CHART, chartSources } from "./chart-sources.ts";
import { renderTemplate } from "./template-fixture.ts";

const read = (name: string): string => readFileSync(join(CHART, name), "utf8");

interface Values {
  readonly [key: string]: unknown;
}

const CLASS_API = "gateway.networking.k8s.io/v1/GatewayClass";

function render(values: Values, apis: readonly string[] = [CLASS_API]): Map<string, Manifest> {
  const objects = readdirSync(join(CHART, "templates")).flatMap((name) =>
    parseAllDocuments(renderTemplate(read(`templates/${name}`), values, apis))
      .map((document) => document.toJS() as Manifest | null)
      .filter((object) => object !== null),
  );
  return new Map(objects.map((object) => [keyOf(object), object]));
}

describe("the Helm chart", async () => {
  const { manifests, definitions } = await chartSources();
  const generated = chartFiles(manifests, definitions);
  const defaults = parse(read("values.yaml")) as Values;
  const withNamespace = { ...defaults, namespace: { create: true } };

  it("is what is generated from the manifests (npm run generate:chart)", () => {
    for (const [name, text] of generated) assert.equal(read(name), text, name);
    const present = readdirSync(CHART, { recursive: true, encoding: "utf8" }).filter(
      (name) => !lstatSync(join(CHART, name)).isDirectory(),
    );
    assert.deepEqual(present.sort(), [...generated.keys()].sort());
  });

  it("renders to the very objects of the base", () => {
    const expected = new Map(manifests.map((object) => [keyOf(object), object]));
    assert.deepEqual(render(withNamespace), expected);
  });

  it("leaves the namespace to Helm's user unless told otherwise", () => {
    assert.equal(render(defaults).has("/Namespace//istio-system"), false);
  });

  it("takes what users set", () => {
    const objects = render({
      ...defaults,
      image: { repository: "registry.example/mesh", tag: "1", pullPolicy: "Always" },
      istiod: {
        replicas: 3,
        resources: {},
        extraArgs: ["--log-level", "debug"],
        extraEnv: [{ name: "A", value: "b" }],
      },
    });
    const spec = objects.get("apps/Deployment/istio-system/istiod")?.spec as {
      readonly replicas: number;
      readonly template: { readonly spec: { readonly containers: readonly Values[] } };
    };
    const [container = {}] = spec.template.spec.containers;
    assert.equal(spec.replicas, 3);
    assert.equal(container.image, "registry.example/mesh:1");
    assert.equal(container.imagePullPolicy, "Always");
    assert.deepEqual(container.resources, {});
    assert.deepEqual((container.args as string[]).slice(-2), ["--log-level", "debug"]);
    assert.deepEqual((container.env as Values[]).at(-1), { name: "A", value: "b" });
  });

  it("brings definitions as files of its own: a package holds no links", () => {
    const names = readdirSync(join(CHART, "crds"));
    assert.deepEqual(names.sort(), [...definitions.keys()].sort());
    for (const name of names) assert.ok(lstatSync(join(CHART, "crds", name)).isFile(), name);
  });

  it("leaves the class of waypoints out of a cluster that has no such kind", () => {
    const hasClass = (apis: readonly string[]) =>
      render(withNamespace, apis).has("gateway.networking.k8s.io/GatewayClass//istio-waypoint");
    assert.equal(hasClass([]), false);
    assert.equal(hasClass([CLASS_API]), true);
  });
});
