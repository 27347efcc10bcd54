/**
 * Policies of a local file: `rules` is a list (any of) of lists (all of) of lists (any of) of
 * matches. Source of the field names and values: istio/ztunnel src/rbac.rs. Unlike there, a field
 * that is not known is refused: a policy must not mean more than its author wrote.
 */
import type {
  Authorization,
  Match,
  ServiceAccountMatch,
  StringMatch,
} from "#common/model/authorization.ts";
import type { FieldReader } from "./field-reader.ts";
import { PORT_MAX, readCidr } from "./read-address.ts";

const FIELDS = ["name", "namespace", "scope", "action", "rules", "dryRun"] as const;
const SCOPES = {
  Global: "global",
  Namespace: "namespace",
  WorkloadSelector: "workload-selector",
} as const;
const ACTIONS = { Allow: "allow", Deny: "deny" } as const;
const MATCH_FIELDS = [
  "namespaces",
  "notNamespaces",
  "serviceAccounts",
  "notServiceAccounts",
  "principals",
  "notPrincipals",
  "sourceIps",
  "notSourceIps",
  "destinationIps",
  "notDestinationIps",
  "destinationPorts",
  "notDestinationPorts",
] as const;

/** Throws MeshError LOCAL_XDS_INVALID. */
export function readPolicy(field: FieldReader): Authorization {
  const f = field.fields(FIELDS);
  return {
    name: f.name.text(),
    namespace: f.namespace.text(),
    scope: f.scope.choice(SCOPES),
    action: f.action.choice(ACTIONS),
    rules: f.rules.list((rule) => ({
      clauses: rule.list((clause) => ({ matches: clause.list(readMatch) })),
    })),
    dryRun: f.dryRun.boolean(false),
  };
}

function readMatch(field: FieldReader): Match {
  const f = field.fields(MATCH_FIELDS);
  const port = (element: FieldReader) => element.integer(PORT_MAX);
  return {
    namespaces: f.namespaces.list(readStringMatch),
    notNamespaces: f.notNamespaces.list(readStringMatch),
    principals: f.principals.list(readStringMatch),
    notPrincipals: f.notPrincipals.list(readStringMatch),
    serviceAccounts: f.serviceAccounts.list(readAccount),
    notServiceAccounts: f.notServiceAccounts.list(readAccount),
    sourceIps: f.sourceIps.list(readCidr),
    notSourceIps: f.notSourceIps.list(readCidr),
    destinationIps: f.destinationIps.list(readCidr),
    notDestinationIps: f.notDestinationIps.list(readCidr),
    destinationPorts: f.destinationPorts.list(port),
    notDestinationPorts: f.notDestinationPorts.list(port),
  };
}

/** A mapping of one entry, as which the YAML tags `!Exact` and so on arrive here too. */
function readStringMatch(field: FieldReader): StringMatch {
  const [entry, ...more] = field.entries();
  if (entry === undefined || more.length > 0) {
    return field.fail("takes one of Exact, Prefix, Suffix, Presence");
  }
  const [kind, value] = entry;
  if (kind === "Presence") {
    if (value.list(() => undefined).length > 0) return value.fail("takes nothing: []");
    return { kind: "presence" };
  }
  const kinds = { Exact: "exact", Prefix: "prefix", Suffix: "suffix" } as const;
  const known = Object.entries(kinds).find(([name]) => name === kind);
  if (known === undefined) return value.fail("is none of Exact, Prefix, Suffix, Presence");
  return { kind: known[1], value: value.text() };
}

function readAccount(field: FieldReader): ServiceAccountMatch {
  const { namespace, serviceAccount } = field.fields(["namespace", "serviceAccount"]);
  return { namespace: namespace.text(), serviceAccount: serviceAccount.text() };
}
