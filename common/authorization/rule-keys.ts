/** Which values a rule needs the connection to have: what the rule index files it under. */
import type { Clause, Match, Rule, StringMatch } from "#common/model/authorization.ts";
import { principalMatch } from "./field-test.ts";
import { cidrKey, exactKey, prefixKey, suffixKey } from "./index-key.ts";
import type { RuleKeys } from "./rule-index.ts";

export function ruleKeys(rule: Rule): RuleKeys {
  const all: (readonly string[])[] = [];
  for (const clause of rule.clauses) {
    const keys = clause.matches.length === 0 ? undefined : clauseKeys(clause);
    if (keys !== undefined) all.push(keys);
  }
  return all;
}

function clauseKeys(clause: Clause): readonly string[] | undefined {
  const all: string[] = [];
  for (const match of clause.matches) {
    if (isEmpty(match)) continue;
    const keys = matchKeys(match);
    if (keys === undefined) return undefined;
    all.push(...keys);
  }
  return all;
}

/** A match without fields never matches. */
function isEmpty(match: Match): boolean {
  for (const values of Object.values(match)) if (values.length > 0) return false;
  return true;
}

/** The keys of the field that tells connections apart best; undefined if no field needs a value. */
function matchKeys(match: Match): readonly string[] | undefined {
  const principals = match.principals.length > 0 ? principalKeys(match) : undefined;
  if (principals !== undefined) return principals;
  if (match.serviceAccounts.length > 0) {
    return match.serviceAccounts.map((account) =>
      exactKey("serviceAccount", `${account.namespace}/${account.serviceAccount}`),
    );
  }
  if (match.sourceIps.length > 0) {
    return match.sourceIps.map((block) => cidrKey("sourceIp", block.bytes, block.length));
  }
  const namespaces =
    match.namespaces.length > 0 ? stringKeys("namespace", match.namespaces) : undefined;
  if (namespaces !== undefined) return namespaces;
  if (match.destinationPorts.length > 0) {
    return match.destinationPorts.map((port) => exactKey("port", String(port)));
  }
  if (match.destinationIps.length === 0) return undefined;
  return match.destinationIps.map((block) => cidrKey("destinationIp", block.bytes, block.length));
}

function principalKeys(match: Match): readonly string[] | undefined {
  return stringKeys("principal", match.principals.map(principalMatch));
}

/** Undefined where a value is met by any text at all. */
function stringKeys(
  subject: "principal" | "namespace",
  values: readonly StringMatch[],
): readonly string[] | undefined {
  const keys: string[] = [];
  for (const value of values) {
    if (value.kind === "presence") return undefined;
    if (value.kind === "exact") keys.push(exactKey(subject, value.value));
    else if (value.kind === "prefix") keys.push(prefixKey(subject, value.value));
    else keys.push(suffixKey(subject, value.value));
  }
  return keys;
}
