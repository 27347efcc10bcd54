import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem } from "#common/kubernetes/format-problem.ts";
import { formatField } from "#common/kubernetes/problem.ts";

const place = { severity: "error", file: "a.yaml", line: 3, column: 7 } as const;

test("a problem is one line that editors can jump to", () => {
  const problem = { ...place, field: "spec.x", message: "is wrong", hint: "mend it" };
  assert.equal(formatProblem(problem), "a.yaml:3:7: error: spec.x: is wrong (mend it)");
  const whole = { ...place, field: "", message: "is no folder" };
  assert.equal(formatProblem(whole), "a.yaml:3:7: error: is no folder");
});

test("control characters of the input cannot forge a line or colour a terminal", () => {
  const line = formatProblem({ ...place, field: "", message: "a\nb\u001b[31m\u0085" });
  assert.equal(line, "a.yaml:3:7: error: a\\u000ab\\u001b[31m\\u0085");
});

test("keys that are no plain words are quoted in field names", () => {
  assert.equal(
    formatField(["metadata", "labels", "istio.io/rev", 0]),
    'metadata.labels["istio.io/rev"][0]',
  );
});
