import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveKind } from "./resource-kinds.ts";

test("kinds have the names that kubectl knows, and others are answered with those there are", () => {
  assert.equal(resolveKind("po").kind, "Pod");
  assert.equal(resolveKind("AuthorizationPolicies").kind, "AuthorizationPolicy");
  assert.throws(() => resolveKind("cronjobs"), { code: "NO_SUCH_KIND", hint: /pods, services/ });
});
