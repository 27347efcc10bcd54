/** PeerAuthentications that cannot be read never leave open what they might have closed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PolicyIndex } from "./index.ts";
import { indexOf, mtls, openPorts, options, peers, ports, selector } from "./peer-fixtures.ts";

/** A policy that cannot be read, and the ports that it may leave open beside a PERMISSIVE mesh. */
const unreadable: [string, unknown, number[]][] = [
  ["an unknown mode", { selector, ...mtls("strict") }, []],
  ["a mode that is not in an object", { selector, mtls: "STRICT" }, []],
  ["an unknown field", { selector, mtl: { mode: "STRICT" } }, []],
  ["an unparsable STRICT port", { selector, ...ports({ http: "STRICT", 80: "PERMISSIVE" }) }, [80]],
  [
    "an unparsable exception",
    { selector, ...mtls("STRICT"), ...ports({ http: "PERMISSIVE" }) },
    [],
  ],
  ["a port out of range", { selector, ...ports({ 70000: "STRICT" }) }, []],
  ["one port written twice", { selector, ...ports({ "080": "STRICT", 80: "PERMISSIVE" }) }, [81]],
  ["ports that are no object", { selector, portLevelMtls: [80] }, []],
  ["an unknown kind of selector", { selector: { matchExpressions: [] }, ...mtls("STRICT") }, []],
  [
    "an unknown port mode",
    { selector, ...mtls("PERMISSIVE"), ...ports({ 80: "STRIKT", 81: "PERMISSIVE" }) },
    [81],
  ],
];

for (const [name, spec, expected] of unreadable) {
  test(`never wider: ${name} leaves nothing open that it might have closed`, () => {
    const index = new PolicyIndex(options);
    const { issues } = index.set(peers("shop", "w", spec));
    assert.deepEqual(openPorts(index, [80, 81]), expected);
    if (name !== "one port written twice") assert.ok(issues.length > 0);
  });
}

test("a PERMISSIVE policy with an unreadable selector is ignored, so that what is STRICT stays so", () => {
  const broken = { selector: { matchExpressions: [] }, ...mtls("PERMISSIVE") };
  const index = indexOf([
    peers("shop", "a", broken, "2020-01-01T00:00:00Z"),
    peers("shop", "n", mtls("STRICT"), "2026-01-01T00:00:00Z"),
  ]);
  assert.deepEqual(openPorts(index, [80]), []);
});
