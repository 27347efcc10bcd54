/** Notes of AuthorizationPolicy, PeerAuthentication and RequestAuthentication. */
import { AGE, type CrdNotes, conditionPath, type Note, type Notes, note } from "../note.ts";
import {
  ONE_TARGETING,
  selector,
  TARGET_COLUMN,
  TARGETING,
  WAYPOINT_COLUMN,
  ZTUNNEL_COLUMN,
} from "./shared.ts";

const CATEGORIES = ["istio-io", "security-istio-io"];
const WILDCARDS = "Exact, prefix*, *suffix, or * for any that is not empty.";

const accounts = (about: string): Note =>
  note(about, { facets: { maxItems: 16 }, itemFacets: { maxLength: 320 } });

const source: Note = note("Who calls: every field that is given has to fit.", {
  rules: [
    {
      rule:
        "!(has(self.serviceAccounts) || has(self.notServiceAccounts)) || " +
        "!(has(self.principals) || has(self.notPrincipals) || has(self.namespaces) || " +
        "has(self.notNamespaces))",
      message: "serviceAccounts cannot be combined with principals or namespaces: use one of them",
    },
  ],
  fields: {
    principals: `Identities of callers, like cluster.local/ns/shop/sa/web. ${WILDCARDS}`,
    notPrincipals: `Identities that callers must not have. ${WILDCARDS}`,
    namespaces: `Namespaces of callers, from their identities. ${WILDCARDS}`,
    notNamespaces: `Namespaces that callers must not be of. ${WILDCARDS}`,
    serviceAccounts: accounts("Service accounts of callers: name, or namespace/name."),
    notServiceAccounts: accounts("Service accounts that callers must not have."),
    ipBlocks: "Addresses that connections come from: single ones, or CIDR blocks.",
    notIpBlocks: "Addresses that connections must not come from.",
    requestPrincipals: "Issuer and subject of the request's token, like ISSUER/SUBJECT. Waypoint.",
    notRequestPrincipals: "Issuer and subject that the request's token must not have. Waypoint.",
    remoteIpBlocks: "Addresses of the original client, from X-Forwarded-For. Waypoint.",
    notRemoteIpBlocks: "Addresses that the original client must not have. Waypoint.",
    trustDomains: note("Not supported: write principals that end in /*.", {
      shape: { type: "array", items: { type: "string" } },
    }),
    notTrustDomains: note("Not supported: write notPrincipals that end in /*.", {
      shape: { type: "array", items: { type: "string" } },
    }),
  },
});

const operation: Note = note("What is called: every field that is given has to fit.", {
  fields: {
    ports: 'Ports of the destination workload, in text: "8080".',
    notPorts: "Ports of the destination workload that it must not be.",
    hosts: "Hosts of requests. Waypoint.",
    notHosts: "Hosts that requests must not have. Waypoint.",
    methods: "Methods of requests, like GET. Waypoint.",
    notMethods: "Methods that requests must not have. Waypoint.",
    paths: "Paths of requests: exact, prefix*, *suffix, or a template with {*} and {**}. Waypoint.",
    notPaths: "Paths that requests must not have. Waypoint.",
  },
});

const condition: Notes = {
  key: "The attribute, like source.namespace, destination.port or request.headers[x-team].",
  values: "Values of which the attribute has to have one.",
  notValues: "Values of which the attribute must have none.",
};

export const authorizationPolicy: CrdNotes = {
  plural: "authorizationpolicies",
  shortNames: ["ap"],
  categories: CATEGORIES,
  storage: "v1",
  about:
    "Who may call what. Ztunnels enforce it by identity, address and port; what looks at " +
    "requests needs a waypoint.",
  columns: [
    { name: "Action", about: "ALLOW where nothing is given.", path: ".spec.action" },
    TARGET_COLUMN,
    ZTUNNEL_COLUMN,
    WAYPOINT_COLUMN,
    AGE,
  ],
  spec: note("Without rules and action, nothing is let in.", {
    rules: [
      ONE_TARGETING,
      {
        rule: '(has(self.action) && self.action == "CUSTOM") == has(self.provider)',
        message: "provider belongs to action CUSTOM, which needs it, and to no other",
      },
      {
        rule:
          '!has(self.action) || !(self.action in ["DENY", "CUSTOM"]) || ' +
          "(has(self.rules) && size(self.rules) > 0)",
        message:
          "a policy with action DENY or CUSTOM and no rules never applies: add rules; " +
          "[{}] matches everything",
      },
    ],
    fields: {
      ...TARGETING,
      action:
        "ALLOW lets in what matches, and with it nothing else; DENY refuses what " +
        "matches, and comes first; AUDIT notes; CUSTOM asks a provider.",
      provider: note("Who decides for action CUSTOM.", {
        fields: { name: "Its name, as the mesh's configuration has it." },
      }),
      rules: note("The policy matches where one of them does.", {
        facets: { maxItems: 512 },
        fields: {
          from: note("Callers of which one has to fit.", {
            facets: { maxItems: 512 },
            fields: { source },
          }),
          to: note("Calls of which one has to fit.", { fields: { operation } }),
          when: note("Conditions, all of which have to hold.", { fields: condition }),
        },
      }),
    },
  }),
};

const mode =
  "STRICT: only mutual TLS; PERMISSIVE: plain text too; DISABLE and UNSET leave it to " +
  "the next wider policy, or are PERMISSIVE.";

export const peerAuthentication: CrdNotes = {
  plural: "peerauthentications",
  shortNames: ["pa"],
  categories: CATEGORIES,
  storage: "v1",
  about: "Whether workloads take plain text, or mutual TLS only.",
  columns: [
    { name: "Mode", about: "What holds for all ports.", path: ".spec.mtls.mode" },
    {
      name: "Labels",
      about: "The workloads it is for.",
      path: ".spec.selector.matchLabels",
      wide: true,
    },
    AGE,
  ],
  spec: note("Without a selector for the namespace; in the root namespace for the mesh.", {
    rules: [
      {
        rule:
          "!has(self.portLevelMtls) || (has(self.selector) && " +
          "has(self.selector.matchLabels) && size(self.selector.matchLabels) > 0)",
        message: "portLevelMtls has no effect without a selector: add selector.matchLabels",
      },
    ],
    fields: {
      selector,
      mtls: note("What holds for all ports that are not named below.", { fields: { mode } }),
      portLevelMtls: note("What holds for single ports of the workload, by number.", {
        fields: { mode },
        rules: [
          {
            rule: 'self.all(port, port.matches("^[1-9][0-9]{0,4}$") && int(port) <= 65535)',
            message: "keys are ports: numbers from 1 to 65535",
          },
        ],
      }),
    },
  }),
};

const jwtRule: Notes = {
  issuer: "The token's iss.",
  audiences: "Values of which the token's aud has to have one. Without it any.",
  jwksUri: note("Where the issuer's keys are, as a JSON Web Key Set: http or https.", {
    facets: { minLength: 1, maxLength: 2_048 },
  }),
  jwks: "The issuer's keys themselves, as a JSON Web Key Set.",
  fromHeaders: note("Headers in which the token is looked for.", {
    fields: {
      name: "Name of the header.",
      prefix: 'What stands before the token, like "Bearer ".',
    },
  }),
  fromParams: note("Parameters of the query in which the token is looked for.", {
    itemFacets: { minLength: 1 },
  }),
  fromCookies: "Cookies in which the token is looked for.",
  outputPayloadToHeader: "A header that the token's payload is sent on in, in base64url.",
  outputClaimToHeaders: note("Claims that are sent on in headers of their own.", {
    fields: { header: "Name of the header.", claim: "Name of the claim; dots lead into maps." },
  }),
  forwardOriginalToken: "Whether the token is sent on to the workload. False unless given.",
  timeout: "How long the issuer's keys are waited for.",
  presence: "OPTIONAL: requests without a token pass. REQUIRED is not supported.",
  spaceDelimitedClaims: note("Not supported: scope and permission alone are split.", {
    shape: { type: "array", maxItems: 64, items: { type: "string", minLength: 1 } },
  }),
};

export const requestAuthentication: CrdNotes = {
  plural: "requestauthentications",
  shortNames: ["ra"],
  categories: CATEGORIES,
  storage: "v1",
  about:
    "Which tokens (JWT) waypoints take. A request with a bad token is refused; one " +
    "without a token is for an AuthorizationPolicy to refuse.",
  columns: [
    { name: "Issuer", about: "Of the first rule.", path: ".spec.jwtRules[0].issuer" },
    TARGET_COLUMN,
    WAYPOINT_COLUMN,
    {
      name: "Reason",
      about: "Why.",
      path: conditionPath("WaypointAccepted", "reason"),
      wide: true,
    },
    AGE,
  ],
  spec: note("Takes effect where a waypoint is.", {
    rules: [ONE_TARGETING],
    fields: {
      ...TARGETING,
      jwtRules: note("Issuers, and how their tokens are checked.", {
        facets: { maxItems: 4_096 },
        itemRules: [
          {
            rule:
              "(has(self.jwksUri) ? 1 : 0) + (has(self.jwks_uri) ? 1 : 0) + " +
              "(has(self.jwks) ? 1 : 0) <= 1",
            message: "jwks cannot be combined with jwksUri: give one of the two",
          },
        ],
        fields: jwtRule,
      }),
    },
  }),
};
