/** What an installation was told is not lost by a later one that says less. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Manifest } from "./manifest.ts";
import { refuseForgotten, remember, type Told } from "./told.ts";

const program: Manifest = {
  apiVersion: "apps/v1",
  kind: "DaemonSet",
  metadata: { name: "ztunnel", annotations: { own: "1" } },
};

const refusal = (before: Told, told: Told): string | undefined => {
  try {
    refuseForgotten([remember(program, before)], told);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
};

describe("an installation that was told something", () => {
  test("keeps it on programs alone, beside what they have", () => {
    const { annotations } = remember(program, { profile: "k3s" }).metadata;
    assert.equal(annotations?.own, "1");
    assert.equal(Object.keys(annotations ?? {}).length, 2);
    const service: Manifest = { ...program, kind: "Service" };
    assert.equal(remember(service, { profile: "k3s" }), service);
    assert.equal(remember(program, {}), program);
  });

  test("is not told less", () => {
    const both = { profile: "k3s", image: "r/ambient-mesh:1" };
    const said = "the mesh was installed with";
    assert.equal(refusal(both, { image: "r/ambient-mesh:2" }), `${said} --set profile=k3s`);
    assert.equal(refusal(both, { profile: "k3s" }), `${said} --set image=r/ambient-mesh:1`);
    assert.equal(refusal({ kustomize: "own" }, {}), `${said} --kustomize own`);
  });

  test("can be told the same, something else, or more", () => {
    assert.equal(refusal({ profile: "k3s" }, { profile: "base" }), undefined);
    assert.equal(refusal({ profile: "k3s" }, { kustomize: "own" }), undefined);
    assert.equal(refusal({ kustomize: "own" }, { profile: "kind" }), undefined);
    assert.equal(refusal({ revision: "blue" }, { revision: "default", image: "a" }), undefined);
    assert.equal(refusal({}, { profile: "kind" }), undefined);
  });

  test("by somebody who has edited it: nobody knows", () => {
    const annotations = { "ambientmesh.dev/installed-with": "k3s" };
    refuseForgotten([{ ...program, metadata: { name: "ztunnel", annotations } }], {});
  });
});
