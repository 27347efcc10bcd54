/** What would change about an object, and which steps between versions are safe. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { installOrder, uninstallOrder } from "./install-order.ts";
import type { Manifest } from "./manifest.ts";
import { diffObjects, sameObject } from "./object-diff.ts";
import { rolloutState } from "./rollouts.ts";
import { refusedStep } from "./version-step.ts";

const object = (fields: Record<string, unknown>) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  ...fields,
});

describe("a difference", () => {
  test("is shown in its place, without what the server writes", () => {
    const metadata = { name: "c", uid: "1", resourceVersion: "7", managedFields: [{}] };
    const before = object({ metadata, data: { a: "1", b: "2" }, status: { x: 1 } });
    const after = object({ metadata: { name: "c" }, data: { a: "1", b: "3" } });
    assert.equal(
      diffObjects("configmap/c", before, after),
      [
        "--- configmap/c",
        "+++ configmap/c",
        "@@",
        " apiVersion: v1",
        " data:",
        '   a: "1"',
        '-  b: "2"',
        '+  b: "3"',
        " kind: ConfigMap",
        " metadata:",
        "   name: c",
        "",
      ].join("\n"),
    );
  });

  test("is nothing between objects that say the same", () => {
    const before = object({ data: { a: "1", b: "2" }, metadata: { generation: 3, name: "c" } });
    const after = object({ metadata: { name: "c" }, data: { b: "2", a: "1" } });
    assert.ok(sameObject(before, after));
    assert.equal(diffObjects("c", before, after), "");
  });

  test("has all lines of what goes and of what comes", () => {
    const lines = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 30 });
    fc.assert(
      fc.property(lines, lines, (before, after) => {
        const text = diffObjects(
          "x",
          { list: ["first", ...before] },
          { list: ["first", ...after] },
        );
        if (text === "") return assert.deepEqual(before, after);
        const count = (mark: string) =>
          text.split("\n").filter((line) => line.startsWith(mark) && !/^(---|\+\+\+) x/.test(line));
        const change = count("+").length - count("-").length;
        assert.equal(change, after.length - before.length);
      }),
    );
  });
});

describe("objects", () => {
  const of = (kind: string) => ({ apiVersion: "v1", kind, metadata: { name: "x" } }) as Manifest;
  const kinds = [
    "DaemonSet",
    "ValidatingWebhookConfiguration",
    "GatewayClass",
    "Role",
    "Namespace",
  ];

  test("are made after what they need, and unmade the other way round", () => {
    const made = installOrder(kinds.map(of)).map(({ kind }) => kind);
    assert.deepEqual(made, [
      "Namespace",
      "Role",
      "GatewayClass",
      "DaemonSet",
      "ValidatingWebhookConfiguration",
    ]);
    assert.deepEqual(
      uninstallOrder(kinds.map(of)).map(({ kind }) => kind),
      made.toReversed(),
    );
  });
});

describe("a step between versions", () => {
  const steps: [string, string, RegExp | undefined][] = [
    ["0.1.0", "0.1.0", undefined],
    ["0.1.0", "0.1.4", undefined],
    ["v0.1.9", "0.2.0-rc.1", undefined],
    ["0.1.0", "latest", undefined],
    ["0.1.0", "0.3.0", /leaves out 0\.2/],
    ["0.2.0", "0.1.9", /a step back/],
    ["0.2.1", "0.2.0", /a step back/],
    ["0.9.0", "1.0.0", /another major version/],
  ];
  for (const [from, to, refused] of steps) {
    test(`from ${from} to ${to} is ${refused === undefined ? "taken" : "refused"}`, () => {
      const answer = refusedStep(from, to);
      if (refused === undefined) assert.equal(answer, undefined);
      else assert.match(answer ?? "", refused);
    });
  }
});

describe("a rollout", () => {
  const deployment = (status: object, generation = 2) => ({
    kind: "Deployment",
    metadata: { generation },
    spec: { replicas: 2 },
    status,
  });
  const cases: [string, object, string, boolean][] = [
    ["that nobody has looked at", { observedGeneration: 1 }, "not begun", false],
    [
      "with pods of before",
      { observedGeneration: 2, replicas: 3, updatedReplicas: 2, availableReplicas: 2 },
      "1 of before still running",
      false,
    ],
    [
      "that is half way",
      { observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 1 },
      "1 of 2 ready",
      false,
    ],
    [
      "that is over",
      { observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2 },
      "2 of 2 ready",
      true,
    ],
  ];
  for (const [what, status, progress, done] of cases) {
    test(`${what} is told as it is`, () => {
      assert.deepEqual(rolloutState(deployment(status)), { done, progress });
    });
  }
});
