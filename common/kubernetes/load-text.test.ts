/** Properties of reading objects back from what was written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { loadText } from "#common/kubernetes/load-text.ts";
import { anyObject } from "#common/kubernetes/object-arbitraries.ts";

test("objects come back as they were written, in YAML and in both forms of JSON", () => {
  fc.assert(
    fc.property(fc.array(anyObject, { minLength: 1, maxLength: 4 }), (objects) => {
      const [first] = objects;
      const list = { apiVersion: "v1", kind: "List", items: objects };
      const texts: [string, readonly unknown[]][] = [
        [objects.map((object) => stringify(object)).join("---\n"), objects],
        [stringify(list), objects],
        [JSON.stringify(first), [first]],
        [`${JSON.stringify(first, null, 2)}\n`, [first]],
        [`\n${JSON.stringify(first, null, 4)}`, [first]],
      ];
      for (const [text, expected] of texts) {
        const content = loadText(text, "f.yaml");
        assert.deepEqual(
          content.problems.filter(({ severity }) => severity === "error"),
          [],
        );
        assert.deepEqual(
          content.objects.map(({ object }) => object),
          expected,
        );
      }
    }),
    { numRuns: 150 },
  );
});

/** Pieces that mean something to YAML or to Kubernetes, to be put together in any way. */
const SCRAPS = [
  ..."a: \n{}[]#\"'|>\t\0?,".split(""),
  ...["- ", "&x", "*x", "<<", "!t ", "---\n"],
  ...["kind: Pod\n", "apiVersion: v1\n", "metadata:\n", "  name: x\n"],
];

test("no text whatever makes the loader throw", () => {
  const soup = fc.array(fc.constantFrom(...SCRAPS), { maxLength: 60 });
  fc.assert(
    fc.property(soup, (parts) => {
      const content = loadText(parts.join(""), "f.yaml");
      for (const { line, column } of content.problems) assert.ok(line >= 1 && column >= 1);
    }),
    { numRuns: 2_000 },
  );
});

test("an unknown kind is remembered, and no error", () => {
  const content = loadText("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n", "f.yaml");
  assert.equal(content.hasErrors, false);
  assert.deepEqual(
    content.unknownKinds.map(({ name, problem }) => [name, problem.message, problem.line]),
    [["kind Secret", "ignored: kind Secret", 2]],
  );
});
