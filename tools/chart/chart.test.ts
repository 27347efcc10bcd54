/** The Helm chart says what manifests/base says. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { renderKustomization } from "#meshctl/install/kustomization.ts";
import { keyOf, type Manifest } from "#meshctl/install/manifest.ts";
import { chartFiles } from "./chart-files.ts";
import { renderTemplate } from "./template-fixture.ts";

const MANIFESTS = join(import.meta.dirname, "../../manifests");
const CHART = join(MANIFESTS, "chart");
const read = (name: string): string => readFileSync(join(CHART, name), "utf8");

interface Values {
  readonly [key: string]: unknown;
}

function render(values: Values): Map<string, Manifest> {
  const objects = readdirSync(join(CHART, "templates")).flatMap((name) =>
    parseAllDocuments(renderTemplate(read(`templates/${name}`), values))
      .map((document) => document.toJS() as Manifest | null)
      .filter((object) => object !== null),
  );
  return new Map(objects.map((object) => [keyOf(object), object]));
}

describe("the Helm chart", async () => {
  const base = await renderKustomization(join(MANIFESTS, "base"));
  const defaults = parse(read("values.yaml")) as Values;
  const withNamespace = { ...defaults, namespace: { create: true } };

  it("is what is generated from the manifests (npm run generate:chart)", () => {
    for (const [name, text] of chartFiles(base)) assert.equal(read(name), text, name);
    const generated = [...chartFiles(base).keys()].filter((name) => name.startsWith("templates/"));
    const present = readdirSync(join(CHART, "templates")).map((name) => `templates/${name}`);
    assert.deepEqual(present.sort(), generated.sort());
  });

  it("renders to the very objects of the base", () => {
    const expected = new Map(base.map((object) => [keyOf(object), object]));
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

  it("brings every definition of a kind that the manifests bring", () => {
    const names = readdirSync(join(MANIFESTS, "crds")).filter((name) => !/^kustom/.test(name));
    assert.deepEqual(readdirSync(join(CHART, "crds")).sort(), names.sort());
  });
});
