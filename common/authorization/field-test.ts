/**
 * One field of a match, compiled: whether the connection hits any of its values.
 * Semantics: ambient.md 2.4 (istio/ztunnel src/rbac.rs).
 */
import type { Match, ServiceAccountMatch, StringMatch } from "#common/model/authorization.ts";
import { type Cidr, cidrContains, formatCidr } from "#common/model/ip.ts";
import { type ConnectionView, withoutScheme } from "./connection-view.ts";
import type { MatchField } from "./verdict.ts";

export interface FieldTest {
  readonly field: MatchField;
  /** `not…` fields fail on a hit, the others without one. */
  readonly negative: boolean;
  hits(view: ConnectionView): boolean;
  /** The connection's value as text, "" where it has none. */
  observed(view: ConnectionView): string;
  wanted(): string;
}

type Subject = Pick<FieldTest, "hits" | "observed" | "wanted">;

/** The tests of a match in the order they are tried; empty for a match without fields. */
export function compileMatch(match: Match): readonly FieldTest[] {
  const tests: FieldTest[] = [];
  const add = <V>(
    field: MatchField,
    values: readonly V[],
    subject: (values: readonly V[]) => Subject,
  ): void => {
    if (values.length === 0) return;
    tests.push({ field, negative: field.startsWith("not"), ...subject(values) });
  };
  add("principals", match.principals, principalSubject);
  add("notPrincipals", match.notPrincipals, principalSubject);
  add("serviceAccounts", match.serviceAccounts, serviceAccountSubject);
  add("notServiceAccounts", match.notServiceAccounts, serviceAccountSubject);
  add("namespaces", match.namespaces, namespaceSubject);
  add("notNamespaces", match.notNamespaces, namespaceSubject);
  add("destinationPorts", match.destinationPorts, portSubject);
  add("notDestinationPorts", match.notDestinationPorts, portSubject);
  add("sourceIps", match.sourceIps, sourceIpSubject);
  add("notSourceIps", match.notSourceIps, sourceIpSubject);
  add("destinationIps", match.destinationIps, destinationIpSubject);
  add("notDestinationIps", match.notDestinationIps, destinationIpSubject);
  return tests;
}

function principalSubject(values: readonly StringMatch[]): Subject {
  const wanted = values.map(principalMatch);
  const matches = compileStrings(wanted);
  return {
    hits: (view) => view.principal !== undefined && matches(view.principal),
    observed: (view) => view.principal ?? "",
    wanted: () => values.map(formatStringMatch).join(", "),
  };
}

function namespaceSubject(values: readonly StringMatch[]): Subject {
  const matches = compileStrings(values);
  return {
    hits: (view) => matches(view.namespace),
    observed: (view) => view.namespace,
    wanted: () => values.map(formatStringMatch).join(", "),
  };
}

function serviceAccountSubject(values: readonly ServiceAccountMatch[]): Subject {
  const names = new Set(values.map((value) => `${value.namespace}/${value.serviceAccount}`));
  return {
    hits: (view) => view.serviceAccount !== undefined && names.has(view.serviceAccount),
    observed: (view) => view.serviceAccount ?? "",
    wanted: () => [...names].join(", "),
  };
}

function portSubject(values: readonly number[]): Subject {
  const ports = new Set(values);
  return {
    hits: (view) => ports.has(view.port),
    observed: (view) => String(view.port),
    wanted: () => values.join(", "),
  };
}

function sourceIpSubject(blocks: readonly Cidr[]): Subject {
  return {
    hits: (view) => blocks.some((block) => cidrContains(block, view.sourceBytes)),
    observed: (view) => view.connection.sourceIp,
    wanted: () => blocks.map(formatCidr).join(", "),
  };
}

function destinationIpSubject(blocks: readonly Cidr[]): Subject {
  return {
    hits: (view) => blocks.some((block) => cidrContains(block, view.destinationBytes)),
    observed: (view) => view.connection.destinationIp,
    wanted: () => blocks.map(formatCidr).join(", "),
  };
}

/** Principals are compared without their scheme, so a policy may write it or leave it out. */
export function principalMatch(match: StringMatch): StringMatch {
  if (match.kind === "presence") return match;
  const value = withoutScheme(match.value);
  if (value === match.value) return match;
  // What ends in "spiffe://x" and holds one scheme is exactly "spiffe://x".
  return { kind: match.kind === "suffix" ? "exact" : match.kind, value };
}

function compileStrings(values: readonly StringMatch[]): (text: string) => boolean {
  const [first] = values;
  if (first !== undefined && values.length === 1) return (text) => matchesString(first, text);
  const exact = new Set(values.flatMap((v) => (v.kind === "exact" ? [v.value] : [])));
  const others = values.filter((v) => v.kind !== "exact");
  if (others.length === 0) return (text) => exact.has(text);
  return (text) => exact.has(text) || others.some((value) => matchesString(value, text));
}

function matchesString(match: StringMatch, text: string): boolean {
  switch (match.kind) {
    case "exact":
      return text === match.value;
    case "prefix":
      return text.startsWith(match.value);
    case "suffix":
      return text.endsWith(match.value);
    case "presence":
      return text !== "";
  }
}

function formatStringMatch(match: StringMatch): string {
  if (match.kind === "presence") return "*";
  if (match.kind === "prefix") return `${match.value}*`;
  return match.kind === "suffix" ? `*${match.value}` : match.value;
}
