/** The CRDs of manifests/crds against the validators that they are made from. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { peerAuthentication } from "#common/kubernetes/validate/peer-authentication.ts";
import { crdFiles, SERVED_KINDS } from "./crds.ts";
import { fieldPaths, schemaPaths } from "./field-paths.ts";
import { generateCrd } from "./generate.ts";
import { peerAuthentication as peerNotes } from "./notes/security.ts";

const FOLDER = join(import.meta.dirname, "../../manifests/crds");

/** `kubectl apply` keeps an object in one annotation; Kubernetes takes 256 KiB of them. */
const MAX_ANNOTATION_BYTES = 262_144;

test("manifests/crds is what the validators and notes give", () => {
  const files = crdFiles();
  assert.deepEqual(readdirSync(FOLDER).sort(), [...files.keys()].sort());
  for (const [name, text] of files) {
    const hint = `${name} is old: npm run generate:crds`;
    assert.equal(readFileSync(join(FOLDER, name), "utf8"), text, hint);
  }
});

test("every field that a validator knows is in the schema, and the reverse", () => {
  for (const [definition, notes] of SERVED_KINDS) {
    const known = fieldPaths(definition);
    const kept = schemaPaths(generateCrd(definition, notes));
    assert.ok(known.size > 5);
    // What a validator leaves open, the schema describes further.
    const open = [...kept].filter((path) => !known.has(path));
    const below = open.filter((path) => ![...known].some((parent) => path.startsWith(parent)));
    assert.deepEqual(below, [], definition.kind);
    assert.deepEqual(
      [...known].filter((path) => !kept.has(path)),
      [],
      definition.kind,
    );
  }
});

test("all versions of a kind have the same schema, and one of them is stored", () => {
  for (const [definition, notes] of SERVED_KINDS) {
    const { spec } = generateCrd(definition, notes) as { spec: { versions: StoredVersion[] } };
    const schemas = new Set(spec.versions.map(({ schema }) => JSON.stringify(schema)));
    assert.equal(schemas.size, 1);
    assert.equal(spec.versions.filter(({ storage }) => storage).length, 1, definition.kind);
  }
});

interface StoredVersion {
  readonly schema: unknown;
  readonly storage: boolean;
}

test("each CRD fits into the annotation that kubectl apply makes of it", () => {
  for (const [name, text] of crdFiles()) {
    assert.ok(JSON.stringify(parse(text)).length < MAX_ANNOTATION_BYTES, name);
  }
});

test("a field without a note is an error, and so is a note without a field", () => {
  const { spec } = peerNotes;
  const { mtls: _, ...fewer } = spec.fields ?? {};
  const without = { ...peerNotes, spec: { ...spec, fields: fewer } };
  assert.throws(() => generateCrd(peerAuthentication, without), /spec\.mtls: has no note/);
  const more = { ...peerNotes, spec: { ...spec, fields: { ...spec.fields, mtsl: "?" } } };
  assert.throws(() => generateCrd(peerAuthentication, more), /spec\.mtsl: .* no field/);
});
