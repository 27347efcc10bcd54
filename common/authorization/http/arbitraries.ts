/** Random L7 policies and requests from small pools, so that hits and misses are both common. */
import fc from "fast-check";
import { makeIdentity } from "#common/model/identity.ts";
import type { IpAddress } from "#common/model/ip.ts";
import type { L7Authorization, L7Rule } from "#common/model/waypoint/policy.ts";
import type { RequestFacts } from "./facts.ts";

const NAMESPACES = ["shop", "shops", "a"];
const ACCOUNTS = ["web", "default"];
const PATHS = ["/", "/a", "/a/b", "/a/b/c", "/ab", "/a/", "/a//b"];
const HOSTS = ["a.shop", "b.shop", "A.shop:8080", "a.shop.:80", "a.shop:80"];
const METHODS = ["GET", "POST", "get", "PURGE"];
const TEXTS = ["x", "y", "x,y", "y, x", "", "xy"];
const IPS = ["10.0.0.1", "10.1.2.3", "192.168.1.1"] as IpAddress[];

/** Headers as a list of lines, for requests in tests. */
export function headersOf(lines: readonly (readonly [string, string])[]): {
  getAll(name: string): readonly string[];
} {
  return { getAll: (name) => lines.flatMap(([key, value]) => (key === name ? [value] : [])) };
}

const claims = fc.record(
  {
    iss: fc.constantFrom("https://i", "j"),
    sub: fc.constantFrom("u", "v"),
    role: fc.oneof(
      fc.constantFrom("x", "y"),
      fc.array(fc.constantFrom("x", "y", 3)),
      fc.constantFrom(3, null),
      fc.record({ name: fc.constantFrom("x", "y") }),
    ),
  },
  { requiredKeys: ["iss", "sub"] },
);

export const anyRequest: fc.Arbitrary<RequestFacts> = fc
  .record({
    namespace: fc.constantFrom(...NAMESPACES),
    account: fc.constantFrom(...ACCOUNTS),
    sourceIp: fc.constantFrom(...IPS),
    destinationPort: fc.constantFrom(80, 8080),
    method: fc.constantFrom(...METHODS),
    authority: fc.constantFrom(...HOSTS),
    path: fc.tuple(fc.constantFrom(...PATHS), fc.constantFrom("", "?q=/a", "#/a")),
    headers: fc.array(fc.tuple(fc.constantFrom("x-a", "x-b"), fc.constantFrom(...TEXTS))),
    tokens: fc.array(fc.record({ claims }), { maxLength: 2 }),
  })
  .map(({ namespace, account, path, headers, ...rest }) => ({
    peer: makeIdentity("cluster.local", namespace, account),
    sourceIp: rest.sourceIp,
    destinationIps: [],
    destinationPort: rest.destinationPort,
    sni: undefined,
    http: {
      method: rest.method,
      authority: rest.authority,
      path: path.join(""),
      headers: headersOf(headers),
      tokens: rest.tokens,
    },
  }));

/** Values whole, cut before or behind, or `*`. */
function globs(...texts: string[]): fc.Arbitrary<string> {
  const whole = fc.constantFrom(...texts.filter((text) => text !== ""));
  const cut = fc.tuple(whole, fc.nat(6));
  return fc.oneof(
    whole,
    cut.map(([text, n]) => `${text.slice(0, n)}*`),
    cut.map(([text, n]) => `*${text.slice(Math.min(n, text.length))}`),
    fc.constant("*"),
  );
}

const VALUES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  principals: globs(...NAMESPACES.map((ns) => `cluster.local/ns/${ns}/sa/web`)),
  namespaces: globs(...NAMESPACES),
  serviceAccounts: fc.constantFrom("web", "default", "shop/web", "a/default"),
  ipBlocks: fc.constantFrom("10.0.0.0/8", "10.0.0.1", "192.168.0.0/16", "0.0.0.0/0"),
  remoteIpBlocks: fc.constantFrom("10.1.0.0/16", "192.168.1.1"),
  requestPrincipals: fc.constantFrom("https://i/u", "j/v", "*", "https://i/*", "*/v", "*u"),
};

const OPERATION_VALUES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  hosts: globs("a.shop", "b.shop", "a.shop:80"),
  ports: fc.constantFrom("80", "8080"),
  methods: globs("GET", "POST", "PURGE"),
  paths: fc.oneof(globs(...PATHS), fc.constantFrom("/a/{*}", "/a/{**}", "/{*}/b", "/{**}/b")),
};

function entry(
  values: Readonly<Record<string, fc.Arbitrary<string>>>,
): fc.Arbitrary<Record<string, readonly string[]>> {
  const field = fc.constantFrom(...Object.keys(values)).chain((name) =>
    fc
      .tuple(fc.boolean(), fc.array(values[name] ?? fc.constant("x"), { maxLength: 3 }))
      .map(([not, list]) => {
        const key = not ? `not${name.charAt(0).toUpperCase()}${name.slice(1)}` : name;
        return [key, list] as const;
      }),
  );
  return fc.array(field, { maxLength: 2 }).map((fields) => Object.fromEntries(fields));
}

const condition = fc
  .tuple(
    fc.constantFrom(
      ...["request.headers[X-A]", "request.headers[x-b]", "request.auth.claims[role]"],
      ...["request.auth.claims[role][name]", "no.such.key", "source.namespace"],
    ),
    fc.option(fc.array(globs("x", "y", "x,y", "3", "shop"), { maxLength: 2 })),
    fc.option(fc.array(globs("x", "y", "shop"), { maxLength: 2 })),
  )
  .map(([key, values, notValues]) => ({
    key,
    ...(values !== null && { values }),
    ...(notValues !== null && { notValues }),
  }));

export const anyL7Rule: fc.Arbitrary<L7Rule> = fc.record({
  from: fc.array(entry(VALUES), { maxLength: 2 }),
  to: fc.array(entry(OPERATION_VALUES), { maxLength: 2 }),
  when: fc.array(condition, { maxLength: 2 }),
});

export const anyL7Policies: fc.Arbitrary<readonly L7Authorization[]> = fc.uniqueArray(
  fc.record({
    key: fc.stringMatching(/^[a-z]{1,2}$/).map((name) => `shop/${name}`),
    action: fc.constantFrom("allow", "deny", "audit", "custom"),
    dryRun: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.boolean()),
    rules: fc.array(anyL7Rule, { maxLength: 12 }),
  }),
  { maxLength: 6, selector: ({ key }) => key },
);
