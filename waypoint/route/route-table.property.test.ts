import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileRoutes } from "./compile.ts";
import { naiveMatch } from "./oracle.ts";
import { anyCaller, anyRequest, anyRoutes } from "./route-arbitraries.ts";

test("the compiled table answers as a naive reading of the specification does", () => {
  const asked = fc.array(fc.tuple(anyRequest, anyCaller), { minLength: 6, maxLength: 6 });
  let found = 0;
  fc.assert(
    fc.property(anyRoutes, asked, (routes, requests) => {
      const { table, problems } = compileRoutes(routes);
      assert.deepEqual(problems, []);
      for (const [request, caller] of requests) {
        const expected = naiveMatch(routes, request, caller);
        const answer = table.match(request, caller);
        assert.equal(answer?.rule.origin.ruleName, expected?.rule.origin.ruleName);
        assert.equal(answer?.match, expected?.match);
        if (answer !== undefined) found++;
      }
    }),
    { numRuns: 3_000 },
  );
  assert.ok(found > 3_000, `requests have to find routes: ${found}`);
});
