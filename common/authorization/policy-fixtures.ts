/** Short hands for policies, their parts, and connections to hold against them: for tests. */
import assert from "node:assert/strict";
import {
  type Authorization,
  type Clause,
  EMPTY_MATCH,
  type Match,
  type StringMatch,
} from "#common/model/authorization.ts";
import type { Connection } from "#common/model/connection.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { type Cidr, type IpAddress, parseCidr, parseIp } from "#common/model/ip.ts";
import { compilePolicies, evaluate } from "./evaluate.ts";
import type { Verdict } from "./verdict.ts";

export const client = makeIdentity("cluster.local", "web", "frontend");

export function ip(text: string): IpAddress {
  const parsed = parseIp(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

export function connection(overrides: Partial<Connection> = {}): Connection {
  return {
    sourceIp: ip("10.0.0.1"),
    sourceIdentity: client,
    destinationIp: ip("10.0.1.2"),
    destinationPort: 8080,
    destinationNetwork: "",
    ...overrides,
  };
}

const { sourceIdentity: _identity, ...plaintextConnection } = connection();

export const plaintext: Connection = plaintextConnection;

export function policy(
  overrides: Partial<Authorization> & Pick<Authorization, "rules">,
): Authorization {
  return {
    name: "p",
    namespace: "shop",
    scope: "namespace",
    action: "allow",
    dryRun: false,
    ...overrides,
  };
}

export const match = (fields: Partial<Match>): Match => ({ ...EMPTY_MATCH, ...fields });
export const clause = (...matches: Partial<Match>[]): Clause => ({ matches: matches.map(match) });
export const exact = (value: string): StringMatch => ({ kind: "exact", value });
export const prefix = (value: string): StringMatch => ({ kind: "prefix", value });
export const suffix = (value: string): StringMatch => ({ kind: "suffix", value });
export const presence: StringMatch = { kind: "presence" };

export function decide(policies: readonly Authorization[], on: Connection = connection()): Verdict {
  return evaluate(on, compilePolicies(policies));
}

/** Whether a policy with this one match lets the connection match. */
export function holds(fields: Partial<Match>, on: Connection = connection()): boolean {
  return decide([policy({ rules: [{ clauses: [clause(fields)] }] })], on).allowed;
}

export const everything = [{ clauses: [] }];
export const nothing = [{ clauses: [clause({ destinationPorts: [1] })] }];
