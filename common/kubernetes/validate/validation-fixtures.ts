/** Objects with one part to vary, and the checks that the tests of all kinds share. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatField } from "#common/kubernetes/problem.ts";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";

export type Json = Record<string, unknown>;

/** `error spec.x: message (hint)`, for each issue. */
export function issuesOf(value: unknown): string[] {
  return validateObject(value).issues.map(({ severity, path, message, hint }) => {
    return `${severity} ${formatField(path)}: ${message}${hint === undefined ? "" : ` (${hint})`}`;
  });
}

export function object(
  apiVersion: string,
  kind: string,
  fields: Json = {},
  metadata: Json = {},
): Json {
  return { apiVersion, kind, metadata: { name: "x", ...metadata }, ...fields };
}

export const pod = (spec: Json) =>
  object("v1", "Pod", { spec: { containers: [{ name: "a", image: "i" }], ...spec } });
export const container = (fields: Json) =>
  pod({ containers: [{ name: "a", image: "i", ...fields }] });
export const service = (spec: Json) =>
  object("v1", "Service", { spec: { ports: [{ port: 80 }], ...spec } });
export const slice = (fields: Json) =>
  object(
    "discovery.k8s.io/v1",
    "EndpointSlice",
    { addressType: "IPv4", ...fields },
    {
      labels: { "kubernetes.io/service-name": "x" },
    },
  );
export const policy = (spec: unknown, metadata: Json = {}) =>
  object("security.istio.io/v1", "AuthorizationPolicy", { spec }, metadata);
export const source = (fields: Json) => policy({ rules: [{ from: [{ source: fields }] }] });
export const when = (condition: Json) => policy({ rules: [{ when: [condition] }] });
export const peer = (spec: unknown) =>
  object("security.istio.io/v1", "PeerAuthentication", { spec });
export const deployment = (spec: Json) =>
  object("apps/v1", "Deployment", {
    spec: {
      selector: { matchLabels: { app: "a" } },
      template: {
        metadata: { labels: { app: "a" } },
        spec: { containers: [{ name: "a", image: "i" }] },
      },
      ...spec,
    },
  });

/** Each object passes and nothing is said about it. */
export function testFine(cases: readonly [string, Json][]): void {
  for (const [name, value] of cases) {
    test(`${name} is fine`, () => {
      assert.deepEqual(issuesOf(value), []);
      assert.ok(validateObject(value).object);
    });
  }
}

/** Each object has exactly these issues; with an error among them, there is no object. */
export function testWrong(cases: readonly [string, unknown, RegExp[]][]): void {
  for (const [name, value, expected] of cases) {
    test(`${name} is noticed`, () => {
      const issues = issuesOf(value);
      assert.equal(issues.length, expected.length, issues.join("\n"));
      expected.forEach((pattern, index) => void assert.match(issues[index] ?? "", pattern));
      const broken = issues.some((issue) => issue.startsWith("error"));
      assert.equal(validateObject(value).object === undefined, broken);
    });
  }
}
