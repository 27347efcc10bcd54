/** AuthorizationPolicies as YAML: fields of all kinds, most values good and a few not. */
import fc from "fast-check";
import { stringify } from "yaml";

const SOURCE: Readonly<Record<string, readonly string[]>> = {
  principals: ["cluster.local/ns/web/sa/front", "*/sa/cart", "cluster.local/ns/shop/*", "*"],
  namespaces: ["web", "sh*", "*b", "*"],
  serviceAccounts: ["cart", "web/front"],
  ipBlocks: ["10.0.0.0/24", "10.0.1.1", "0.0.0.0/0", "::/0", "10.0.0.0/33"],
  requestPrincipals: ["*"],
};
const OPERATION: Readonly<Record<string, readonly string[]>> = {
  ports: ["80", "8080", "0"],
  methods: ["GET"],
  paths: ["/a"],
};
const CONDITIONS: Readonly<Record<string, readonly string[]>> = {
  "source.ip": SOURCE.ipBlocks ?? [],
  "source.namespace": SOURCE.namespaces ?? [],
  "source.principal": SOURCE.principals ?? [],
  "destination.port": ["80", "8080"],
  "request.headers[x]": ["1"],
};

function fieldsOf(pools: Readonly<Record<string, readonly string[]>>): fc.Arbitrary<object> {
  const field = fc
    .constantFrom(...Object.keys(pools))
    .chain((name) =>
      fc.tuple(
        fc.constantFrom(name, `not${name.charAt(0).toUpperCase()}${name.slice(1)}`),
        fc.array(fc.constantFrom(...(pools[name] ?? [])), { minLength: 1, maxLength: 2 }),
      ),
    );
  return fc
    .array(field, { minLength: 1, maxLength: 2 })
    .map((entries): object => Object.fromEntries(entries));
}

const condition = fc
  .constantFrom(...Object.keys(CONDITIONS))
  .chain((key) =>
    fc
      .tuple(
        fc.constantFrom("values", "notValues"),
        fc.array(fc.constantFrom(...(CONDITIONS[key] ?? [])), { minLength: 1, maxLength: 2 }),
      )
      .map(([which, values]): object => ({ key, [which]: values })),
  );

const list = (entry: fc.Arbitrary<object>) => fc.array(entry, { minLength: 1, maxLength: 2 });

const rule = fc.record(
  {
    from: list(fieldsOf(SOURCE).map((source) => ({ source }))),
    to: list(fieldsOf(OPERATION).map((operation) => ({ operation }))),
    when: list(condition),
  },
  { requiredKeys: [], noNullPrototype: true },
);

const policy = fc
  .record({
    name: fc.stringMatching(/^[a-z]{1,3}$/),
    action: fc.constantFrom("ALLOW", "DENY"),
    rules: fc.array(rule, { maxLength: 3 }),
  })
  .map(({ name, action, rules }) => ({
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace: "shop" },
    spec: { action, rules },
  }));

/** One to three policies in one file. */
export const policyYaml: fc.Arbitrary<Uint8Array> = fc
  .array(policy, { minLength: 1, maxLength: 3 })
  .map((policies) =>
    Buffer.from(
      policies.map((one) => stringify(one, { aliasDuplicateObjects: false })).join("---\n"),
    ),
  );
