/** What the manifests allow istiod-lite is what its code asks for, kind by kind. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { resources } from "#common/kube-client/resources.ts";
import { WATCHED_KINDS } from "#istiod-lite/config/kubernetes/watch/watched-kinds.ts";

const FOLDER = join(import.meta.dirname, "../../manifests/base/istiod");

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

function rulesOf(file: string): readonly Rule[] {
  return parseAllDocuments(readFileSync(join(FOLDER, file), "utf8")).flatMap(
    (document) => (document.toJS() as { readonly rules?: readonly Rule[] }).rules ?? [],
  );
}

const groupOf = (apiVersion: string): string =>
  apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "";

describe("the permissions of istiod-lite", () => {
  const cluster = rulesOf("cluster-role.yaml");
  const all = [...cluster, ...rulesOf("role.yaml")];

  it("let it follow every kind that it reads", () => {
    for (const { kind, apiVersions } of WATCHED_KINDS) {
      const { plural } = resources[kind];
      const verbs = cluster
        .filter(({ apiGroups }) => apiGroups.includes(groupOf(apiVersions[0] ?? "")))
        .filter((rule) => rule.resources.includes(plural) && rule.resourceNames === undefined)
        .flatMap((rule) => rule.verbs);
      assert.ok(verbs.includes("list") && verbs.includes("watch"), `${kind}: ${verbs}`);
    }
  });

  it("name every verb, group and resource: no wildcard", () => {
    const words = all.flatMap((rule) => [...rule.apiGroups, ...rule.resources, ...rule.verbs]);
    assert.deepEqual(
      words.filter((word) => word.includes("*")),
      [],
    );
  });

  it("give Secrets of its own namespace only, and by name", () => {
    const secrets = all.filter((rule) => rule.resources.includes("secrets"));
    assert.equal(
      secrets.some((rule) => cluster.includes(rule)),
      false,
    );
    for (const { verbs, resourceNames } of secrets) {
      assert.ok(verbs.every((verb) => verb === "create") || resourceNames !== undefined);
    }
  });
});
