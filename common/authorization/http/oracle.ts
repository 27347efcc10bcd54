/**
 * A deliberately naive evaluator of L7 policies, written from Istio's reference without any
 * preparation, that tests hold the real one against. It shares no code with it.
 */
import type { L7Authorization, L7Rule } from "#common/model/waypoint/policy.ts";
import type { RequestFacts } from "./facts.ts";

type Lists = Readonly<Record<string, readonly string[] | undefined>>;

interface Ask {
  readonly facts: RequestFacts;
  readonly wide: boolean;
  readonly namespace: string;
}

export function naiveAllowed(facts: RequestFacts, policies: readonly L7Authorization[]): boolean {
  const enforced = policies.filter((policy) => !policy.dryRun);
  if (enforced.some((p) => p.action === "deny" && naiveMatches(facts, p))) return false;
  const allow = enforced.filter((policy) => policy.action === "allow");
  return allow.length === 0 || allow.some((policy) => naiveMatches(facts, policy));
}

export function naiveMatches(facts: RequestFacts, policy: L7Authorization): boolean {
  const wide = policy.action === "deny" || policy.action === "custom";
  const [namespace = ""] = policy.key.split("/");
  return policy.rules.some((rule) => ruleHolds(rule, { facts, wide, namespace }));
}

function ruleHolds(rule: L7Rule, ask: Ask): boolean {
  const from = rule.from.length === 0 || rule.from.some((source) => entryHolds(source, ask));
  const to = rule.to.length === 0 || rule.to.some((operation) => entryHolds(operation, ask));
  return from && to && rule.when.every((condition) => conditionHolds(condition, ask));
}

const FIELDS: Readonly<Record<string, string>> = {
  principals: "source.principal",
  namespaces: "source.namespace",
  serviceAccounts: "source.serviceAccount",
  ipBlocks: "source.ip",
  remoteIpBlocks: "remote.ip",
  requestPrincipals: "request.auth.principal",
  hosts: "host",
  ports: "destination.port",
  methods: "method",
  paths: "path",
};

function entryHolds(entry: Lists, ask: Ask): boolean {
  const given = Object.entries(entry).filter(([, list]) => list !== undefined);
  if (given.length === 0) return ask.wide;
  return given.every(([name, list = []]) => {
    const negative = name.startsWith("not");
    const positive = negative ? name.charAt(3).toLowerCase() + name.slice(4) : name;
    return fieldHolds(FIELDS[positive] ?? "", list, negative, ask);
  });
}

function conditionHolds(condition: L7Rule["when"][number], ask: Ask): boolean {
  const { key, values, notValues } = condition;
  if (values === undefined && notValues === undefined) return ask.wide;
  return (
    (values === undefined || fieldHolds(key, values, false, ask)) &&
    (notValues === undefined || fieldHolds(key, notValues, true, ask))
  );
}

/** In doubt a hit counts for what narrows access. */
function fieldHolds(
  key: string,
  list: readonly string[],
  negative: boolean,
  { facts, wide, namespace }: Ask,
): boolean {
  const doubt = wide !== negative;
  if (list.length === 0) return wide;
  const [, header] = /^request\.headers\[(.+)\]$/.exec(key) ?? [];
  const [, claim] = /^request\.auth\.claims\[(.+)\]$/.exec(key) ?? [];
  const hit = (): boolean | undefined => {
    if (header !== undefined) return headerHit(facts, header, list, doubt);
    if (claim !== undefined) return claimHit(facts, claim.split("]["), list, doubt);
    return plainHit(key, facts, list, { doubt, namespace });
  };
  const hits = hit();
  return hits === undefined ? wide : hits !== negative;
}

function plainHit(
  key: string,
  facts: RequestFacts,
  list: readonly string[],
  { doubt, namespace }: { doubt: boolean; namespace: string },
): boolean | undefined {
  const { peer } = facts;
  const meets = (...texts: string[]): boolean => texts.some((t) => list.some((v) => glob(v, t)));
  switch (key) {
    case "source.principal":
      return meets(peer.uri.replace("spiffe://", ""));
    case "source.namespace":
      return meets(peer.namespace);
    case "source.serviceAccount":
      return list.some((name) => {
        const full = name.includes("/") ? name : `${namespace}/${name}`;
        return full === `${peer.namespace}/${peer.serviceAccount}`;
      });
    case "source.ip":
    case "remote.ip":
      return list.some((block) => inBlock(facts.sourceIp, block));
    case "destination.port":
      return list.includes(String(facts.destinationPort));
    case "request.auth.principal":
      return principalHit(facts, list, doubt);
    default:
      return httpHit(key, facts, meets, doubt);
  }
}

function httpHit(
  key: string,
  { http, destinationPort }: RequestFacts,
  meets: (...texts: string[]) => boolean,
  doubt: boolean,
): boolean | undefined {
  const { method = "", authority = "", path = "" } = http ?? {};
  switch (key) {
    case "method":
      return doubt ? meets(method, method.toUpperCase()) : meets(method);
    case "path":
      return meets(path.replace(/[?#].*$/s, ""));
    case "host": {
      const host = authority.toLowerCase();
      const bare = host.replace(/:\d*$/, "").replace(/\.$/, "");
      return doubt ? meets(host, bare, `${bare}:${destinationPort}`) : meets(host);
    }
    default:
      return undefined;
  }
}

function headerHit(
  { http }: RequestFacts,
  name: string,
  list: readonly string[],
  doubt: boolean,
): boolean {
  const lines = http?.headers.getAll(name.toLowerCase()) ?? [];
  const meets = (text: string): boolean => list.some((v) => v === "*" || glob(v, text));
  if (!doubt) return lines.length > 0 && lines.every(meets);
  const whole = [lines.join(","), lines.join(", ")];
  const parts = lines.flatMap((line) => line.split(",").map((part) => part.trim()));
  return lines.length > 0 && [...lines, ...parts, ...whole].some(meets);
}

function claimHit(
  { http }: RequestFacts,
  path: readonly string[],
  list: readonly string[],
  doubt: boolean,
): boolean {
  const tokens = http?.tokens ?? [];
  if (!doubt && tokens.length !== 1) return false;
  return tokens.some(({ claims }) => {
    const value = path.reduce<unknown>((at, name) => (at as Lists | undefined)?.[name], claims);
    const texts = Array.isArray(value) ? value : [value];
    return texts.some((text) => {
      const shown = doubt && typeof text === "number" ? String(text) : text;
      return typeof shown === "string" && list.some((v) => glob(v, shown));
    });
  });
}

function principalHit({ http }: RequestFacts, list: readonly string[], doubt: boolean): boolean {
  const tokens = http?.tokens ?? [];
  if (!doubt && tokens.length !== 1) return false;
  const whole = tokens.map(({ claims }) => `${String(claims.iss)}/${String(claims.sub)}`);
  return whole.some((principal) => list.some((v) => glob(v, principal)));
}

function glob(value: string, text: string): boolean {
  if (value === "*") return text !== "";
  if (/\{\*\*?\}/.test(value)) return template(value).test(text);
  if (value.startsWith("*")) return text.endsWith(value.slice(1));
  return value.endsWith("*") ? text.startsWith(value.slice(0, -1)) : text === value;
}

function template(value: string): RegExp {
  const literal = value.replace(/[.+?^$()[\]\\|]/g, "\\$&");
  const pattern = literal.replaceAll("{**}", "[^]*").replaceAll("{*}", "[^/]+");
  return new RegExp(`^${pattern}$`);
}

function inBlock(ip: string, block: string): boolean {
  const [base = "", length = "32"] = block.split("/");
  const bits = (text: string): string =>
    text
      .split(".")
      .map((part) => Number(part).toString(2).padStart(8, "0"))
      .join("");
  return bits(ip).slice(0, Number(length)) === bits(base).slice(0, Number(length));
}
