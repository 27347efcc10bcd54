/** What meshctl renders of manifests/ is what kubectl renders of it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { parseAllDocuments } from "yaml";
import { renderKustomization } from "#meshctl/install/kustomization.ts";
import { keyOf, type Manifest } from "#meshctl/install/manifest.ts";
import { prepareTools } from "./harness/tools/toolbox.ts";

const MANIFESTS = join(import.meta.dirname, "..", "..", "manifests");
const OVERLAYS = join(MANIFESTS, "overlays");
const overlays = existsSync(OVERLAYS) ? readdirSync(OVERLAYS) : [];

function byKey(objects: readonly Manifest[]) {
  return Object.fromEntries(objects.map((object) => [keyOf(object), object]));
}

describe("manifests", () => {
  let kubectl = "";
  before(async () => {
    kubectl = (await prepareTools("control-plane")).program("kubectl");
  });

  for (const name of ["crds", "base", ...overlays.map((overlay) => `overlays/${overlay}`)]) {
    test(`${name} is rendered as kubectl kustomize does it`, async () => {
      const folder = join(MANIFESTS, name);
      const options = { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 } as const;
      const text = execFileSync(kubectl, ["kustomize", folder], options);
      const theirs = parseAllDocuments(text).map((document) => document.toJS() as Manifest);
      assert.deepEqual(byKey(await renderKustomization(folder)), byKey(theirs));
    });
  }
});
