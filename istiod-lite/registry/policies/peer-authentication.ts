/**
 * Reads a PeerAuthentication and works out what it makes of inherited modes (ambient.md 1.4
 * F65-F67). DISABLE is PERMISSIVE in ambient. What cannot be read counts as STRICT, so that access
 * never widens; an invalid exception from STRICT is no exception.
 */

import type { PeerAuthentication } from "#common/kubernetes/objects.ts";
import {
  type Authorization,
  EMPTY_MATCH,
  type Match,
  type Rule,
} from "#common/model/authorization.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";
import { Issues } from "./issues.ts";
import { convertedPeerAuthenticationName } from "./names.ts";
import { unknownFields } from "./rule-entry.ts";
import { type Labels, parseSelector, selectsAll } from "./selector.ts";
import type { PolicyIssue, PolicyOptions } from "./types.ts";
import { parsePort } from "./values.ts";

export type Mode = "PERMISSIVE" | "STRICT";

export interface ParsedPeerAuthentication {
  readonly name: string;
  readonly namespace: string;
  /** Milliseconds since 1970; 0 where the object has no creationTimestamp. */
  readonly createdMs: number;
  /**
   * `ignored`: Istio has no such level (a selector in the root namespace), or it cannot be read.
   */
  readonly level: "mesh" | "namespace" | "workload" | "ignored";
  /** Empty except on workload level. */
  readonly selector: Labels;
  readonly mode: Mode | "UNSET";
  /** Workload level only, without those UNSET. */
  readonly ports: ReadonlyMap<number, Mode>;
  readonly issues: readonly PolicyIssue[];
}

/** What holds for a workload: a mode, and the ports on which the other one does, ascending. */
export interface EffectiveMtls {
  readonly mode: Mode;
  readonly exceptions: readonly number[];
}

export function parsePeerAuthentication(
  policy: PeerAuthentication,
  options: PolicyOptions,
): ParsedPeerAuthentication {
  const { name, namespace = "", creationTimestamp } = policy.metadata;
  const issues = new Issues();
  const selector = parseSelector(policy.spec?.selector, issues);
  const { mode, ports, strict } = parseModes(policy.spec ?? {}, issues);
  let level = levelOf(namespace, selector.labels, options);
  if (selector.broken && !strict) level = "ignored";
  checkLevel(level, selector.broken, ports, options, issues);
  const workload = level === "workload" && !selector.broken;
  return {
    name,
    namespace,
    createdMs: Date.parse(creationTimestamp ?? "") || 0,
    level,
    selector: level === "workload" ? selector.labels : {},
    mode: selector.broken && strict ? "STRICT" : mode,
    ports: workload ? ports : new Map(),
    issues: issues.list,
  };
}

/** Negative if `a` takes precedence: the older one does, then the one whose name sorts first. */
export function comparePrecedence(
  a: ParsedPeerAuthentication,
  b: ParsedPeerAuthentication,
): number {
  if (a.createdMs !== b.createdMs) return a.createdMs - b.createdMs;
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}

/** What a policy, if there is one, makes of the mode it inherits. */
export function effectiveMtls(
  policy: ParsedPeerAuthentication | undefined,
  inherited: Mode,
): EffectiveMtls {
  if (policy === undefined) return { mode: inherited, exceptions: [] };
  const mode = policy.mode === "UNSET" ? inherited : policy.mode;
  const exceptions = [...policy.ports].filter(([, portMode]) => portMode !== mode);
  return { mode, exceptions: exceptions.map(([port]) => port).sort((a, b) => a - b) };
}

/**
 * The DENY policy for modes that differ by port; undefined without exceptions. STRICT ports are
 * rules of their own, so OR'd; PERMISSIVE ones are clauses beside the strict one, so AND'd.
 */
export function portPolicy(
  policy: ParsedPeerAuthentication,
  { mode, exceptions }: EffectiveMtls,
): Authorization | undefined {
  if (exceptions.length === 0) return undefined;
  const exempt = exceptions.map((port) => one({ notDestinationPorts: [port] }));
  const rules: Rule[] =
    mode === "STRICT"
      ? [{ clauses: [one(PLAINTEXT), ...exempt] }]
      : exceptions.map((port) => ({ clauses: [one({ ...PLAINTEXT, destinationPorts: [port] })] }));
  return {
    name: convertedPeerAuthenticationName(policy.name),
    namespace: policy.namespace,
    scope: "workload-selector",
    action: "deny",
    rules,
    dryRun: false,
  };
}

/** Matches a peer without an identity. */
export const PLAINTEXT: Partial<Match> = { notPrincipals: [{ kind: "presence" }] };

export function one(match: Partial<Match>): Rule["clauses"][number] {
  return { matches: [{ ...EMPTY_MATCH, ...match }] };
}

interface ParsedModes {
  readonly mode: Mode | "UNSET";
  readonly ports: ReadonlyMap<number, Mode>;
  /** Whether anything of it is, or has to count as, STRICT. */
  readonly strict: boolean;
}

const SPEC_FIELDS = ["selector", "mtls", "portLevelMtls"];
const NARROWED = { cause: "invalid", effect: "narrowed" } as const;

function parseModes(spec: unknown, issues: Issues): ParsedModes {
  const raw = isJsonObject(spec) ? spec : { "": spec };
  let mode = parseMode(raw.mtls, "mtls", issues);
  const ports = new Map<number, Mode>();
  for (const [field, value] of unknownFields(raw, SPEC_FIELDS)) {
    issues.add(NARROWED, field, value, "no such field: the policy counts as STRICT");
    mode = "STRICT";
  }
  const levels = raw.portLevelMtls ?? {};
  if (!isJsonObject(levels)) {
    issues.add(NARROWED, "portLevelMtls", levels, "not an object: the policy counts as STRICT");
    return { mode: "STRICT", ports, strict: true };
  }
  for (const [text, value] of Object.entries(levels)) {
    const portMode = parseMode(value, `portLevelMtls.${text}`, issues);
    const port = parsePort(text);
    if (port.kind === "value") {
      // "80" and "080" are one port: the stricter of them counts.
      const decided = portMode === "UNSET" || ports.get(port.value) === "STRICT";
      if (!decided) ports.set(port.value, portMode);
      continue;
    }
    if (portMode === "STRICT") mode = "STRICT";
    const outcome = portMode === "STRICT" ? "all ports count as STRICT" : "this is no exception";
    issues.add(NARROWED, `portLevelMtls.${text}`, text, `${port.problem}: ${outcome}`);
  }
  return { mode, ports, strict: mode === "STRICT" || [...ports.values()].includes("STRICT") };
}

function parseMode(mtls: unknown, field: string, issues: Issues): Mode | "UNSET" {
  if (mtls === undefined || mtls === null) return "UNSET";
  const mode = isJsonObject(mtls) ? (mtls.mode ?? "UNSET") : undefined;
  const unknown = isJsonObject(mtls) ? unknownFields(mtls, ["mode"]).length > 0 : true;
  if (!unknown && (mode === "UNSET" || mode === "STRICT" || mode === "PERMISSIVE")) return mode;
  if (!unknown && mode === "DISABLE") return "PERMISSIVE";
  const message =
    "write mode: UNSET, PERMISSIVE, STRICT or DISABLE; until then this counts as STRICT";
  issues.add(NARROWED, field, mtls, message);
  return "STRICT";
}

function levelOf(
  namespace: string,
  selector: Labels,
  options: PolicyOptions,
): ParsedPeerAuthentication["level"] {
  if (selectsAll(selector)) return namespace === options.rootNamespace ? "mesh" : "namespace";
  return namespace === options.rootNamespace ? "ignored" : "workload";
}

function checkLevel(
  level: ParsedPeerAuthentication["level"],
  brokenSelector: boolean,
  ports: ReadonlyMap<number, Mode>,
  { rootNamespace }: PolicyOptions,
  issues: Issues,
): void {
  const ignored = { cause: "unsupported", effect: "ignored" } as const;
  if (level === "ignored" && !brokenSelector) {
    const message =
      `a policy with a selector has no effect in ${rootNamespace}: ` +
      "put it into the namespace of its workloads";
    issues.add(ignored, "selector", rootNamespace, message);
  }
  if (level !== "workload" && ports.size > 0) {
    const message = "ports have no effect without a selector: add one, or use mtls.mode";
    issues.add(ignored, "portLevelMtls", [...ports.keys()], message);
  }
}
