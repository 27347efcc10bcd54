/**
 * A naive reading of AuthorizationPolicy, straight from the object, that tests hold the conversion
 * against. It shares no code with it. Values that cannot be read, and HTTP attributes, which no
 * connection has, are read against the one who wants in: an ALLOW does not match by them, a DENY
 * does. As in Istio, what a DENY asks only of HTTP it does not ask of a connection at all.
 */
import { BlockList } from "node:net";
import type { AuthorizationPolicy, PolicyRule } from "#common/kubernetes/objects.ts";
import type { Connection } from "#common/model/connection.ts";

/**
 * How one constraint bears on a connection; `http` is a constraint that a connection cannot meet or
 * fail.
 */
type Bearing = "holds" | "fails" | "unreadable" | "http";
type Lists = Readonly<Record<string, readonly string[] | undefined>>;

export function naiveAdmits(
  connection: Connection,
  policies: readonly AuthorizationPolicy[],
): boolean {
  const matching = (action: string): boolean[] =>
    policies
      .filter((policy) => (policy.spec?.action ?? "ALLOW") === action)
      .map((policy) => matches(connection, policy, action === "DENY"));
  if (matching("DENY").includes(true)) return false;
  const allows = matching("ALLOW");
  return allows.length === 0 || allows.includes(true);
}

function matches(connection: Connection, policy: AuthorizationPolicy, deny: boolean): boolean {
  const namespace = policy.metadata.namespace ?? "";
  return (policy.spec?.rules ?? []).some((rule) => {
    const combinations = combine(connection, rule, namespace);
    if (!deny) {
      // ALLOW: one bad part anywhere spoils the rule.
      const spoilt = combinations.flat().some((b) => b === "http" || b === "unreadable");
      return !spoilt && combinations.some((c) => c.every((b) => b === "holds"));
    }
    return combinations.some((combination) => {
      const asked = combination.filter((b) => b !== "http");
      if (asked.length === 0 && combination.length > 0) return false;
      return asked.every((b) => b !== "fails");
    });
  });
}

/**
 * Every choice of one source and one operation, with all conditions: the bearings of all its
 * constraints.
 */
function combine(connection: Connection, rule: PolicyRule, namespace: string): Bearing[][] {
  const sources = (rule.from ?? [{}]).map((from) =>
    Object.entries(from.source ?? {}).map(([field, values]) =>
      bearing(connection, field, values as readonly string[], namespace),
    ),
  );
  const operations = (rule.to ?? [{}]).map((to) =>
    Object.entries((to.operation ?? {}) as Lists).map(([field, values]) =>
      bearing(connection, field, values ?? [], namespace),
    ),
  );
  const conditions = (rule.when ?? []).flatMap(({ key, values, notValues }) => {
    const field = CONDITIONS[key] ?? key;
    const not = `not${field.charAt(0).toUpperCase()}${field.slice(1)}`;
    return [
      ...(values ? [bearing(connection, field, values, namespace)] : []),
      ...(notValues ? [bearing(connection, not, notValues, namespace)] : []),
    ];
  });
  return sources.flatMap((s) => operations.map((o) => [...s, ...o, ...conditions]));
}

const CONDITIONS: Record<string, string> = {
  "source.ip": "ipBlocks",
  "source.namespace": "namespaces",
  "source.principal": "principals",
  "source.serviceAccount": "serviceAccounts",
  "destination.ip": "destinationIps",
  "destination.port": "ports",
};

type Hit = boolean | undefined;

function bearing(
  connection: Connection,
  field: string,
  values: readonly string[],
  namespace: string,
): Bearing {
  if (values.length === 0) return "unreadable";
  const negative = field.startsWith("not");
  const positive = negative ? `${field.charAt(3).toLowerCase()}${field.slice(4)}` : field;
  if (!(positive in HITS)) return HTTP.has(positive) ? "http" : "unreadable";
  const hit = HITS[positive];
  const hits = values.map((value) => hit?.(connection, value, namespace));
  if (!negative) return hits.includes(undefined) ? "unreadable" : says(hits.includes(true));
  if (hits.includes(true)) return "fails";
  // An unreadable exclusion might have excluded this connection, or not.
  return hits.includes(undefined) ? "unreadable" : "holds";
}

function says(holds: boolean): Bearing {
  return holds ? "holds" : "fails";
}

const HTTP = new Set(["hosts", "methods", "paths", "requestPrincipals", "request.headers[x]"]);

/** Whether the connection has the value; undefined when the value is not one. */
const HITS: Record<string, (c: Connection, value: string, namespace: string) => Hit> = {
  principals: (c, value) => {
    if (value === "") return undefined;
    return c.sourceIdentity !== undefined && glob(value, c.sourceIdentity.uri.slice(9));
  },
  namespaces: (c, value) =>
    value === "" ? undefined : glob(value, c.sourceIdentity?.namespace ?? ""),
  serviceAccounts: (c, value, namespace) => {
    if (!/^([a-z]+\/)?[a-z]+$/.test(value)) return undefined;
    const whole = value.includes("/") ? value : `${namespace}/${value}`;
    const { sourceIdentity: peer } = c;
    return peer !== undefined && `${peer.namespace}/${peer.serviceAccount}` === whole;
  },
  ipBlocks: (c, value) => inBlock(c.sourceIp, value),
  destinationIps: (c, value) => inBlock(c.destinationIp, value),
  ports: (c, value) => {
    const port = Number(value);
    if (!/^[0-9]+$/.test(value) || port < 1 || port > 65535) return undefined;
    return port === c.destinationPort;
  },
};

function glob(pattern: string, text: string): boolean {
  if (pattern === "*") return text !== "";
  if (pattern.startsWith("*")) return text.endsWith(pattern.slice(1));
  if (pattern.endsWith("*")) return text.startsWith(pattern.slice(0, -1));
  return text === pattern;
}

function inBlock(ip: string, block: string): Hit {
  const list = new BlockList();
  const [address = "", length] = block.split("/");
  const family = (text: string) => (text.includes(":") ? "ipv6" : "ipv4");
  try {
    const bits = length ?? (family(address) === "ipv6" ? "128" : "32");
    list.addSubnet(address, Number(bits), family(address));
  } catch {
    return undefined;
  }
  return family(ip) === family(address) && list.check(ip, family(ip));
}
