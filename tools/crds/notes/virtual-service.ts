/** Notes of VirtualService. */
import { AGE, type CrdNotes, conditionPath, type Note, type Notes, note } from "../note.ts";
import { exportTo } from "./shared.ts";

/** A number with a fraction, which the validators check by themselves. */
const PERCENT = { type: "number", format: "double", minimum: 0, maximum: 100 };
const OLD_PERCENT = { type: "integer", format: "int32", minimum: 0, maximum: 100 };

const destination: Notes = {
  host: "The service: its name in this namespace, or its whole host name.",
  subset: "One of the subsets that a DestinationRule of the host names.",
  port: note("Its port; not needed where it has one alone.", {
    fields: { number: "The number." },
  }),
};
const weight = "Its share; of a single destination, all.";
const percentage = (about: string): Note =>
  note(about, {
    fields: { value: note("From 0 to 100, with a fraction.", { shape: PERCENT }) },
  });

const operations: Notes = {
  set: "Headers that are set, whatever was there.",
  add: "Headers that are added to what is there.",
  remove: "Headers that are taken away.",
};
const headers: Note = note("What is done with headers.", {
  fields: {
    request: note("On the way to the service.", { fields: operations }),
    response: note("On the way back.", { fields: operations }),
  },
});

const KINDS = {
  exact: "The same.",
  prefix: "It begins so.",
  regex: "An RE2 expression for the whole of it.",
};
const text = (about: string): Note => note(about, { facets: { maxProperties: 1 }, fields: KINDS });
const texts = (about: string): Note =>
  note(about, { itemFacets: { maxProperties: 1 }, fields: KINDS });

const gateways =
  "Where it holds: mesh, which is meant unless given, or Gateways. Ambient waypoints serve mesh.";
const l4Match = {
  destinationSubnets: "Addresses that were called: single ones, or CIDR blocks.",
  port: "The port that was called.",
  sourceLabels: "Labels that the caller has to have.",
  sourceNamespace: "Namespace that the caller has to be of.",
  gateways,
};
const l4Route: Note = note("Where connections go.", {
  fields: { destination: note("One of the places.", { fields: destination }), weight },
});

const match: Note = note("Requests that it is for, where one of these fits. All unless given.", {
  fields: {
    name: "A name for people and logs.",
    uri: text("Path and query of the request."),
    scheme: text("Its scheme."),
    method: text("Its method."),
    authority: text("Its host."),
    headers: texts("Its headers, by name in lower case; {} for any value."),
    withoutHeaders: texts("Headers that it must not have like this."),
    queryParams: texts("Parameters of its query."),
    port: "The port that was called.",
    sourceLabels: "Labels that the caller has to have.",
    sourceNamespace: "Namespace that the caller has to be of.",
    gateways,
    ignoreUriCase: "Whether letter case of the path does not matter.",
    statPrefix: "A name for statistics.",
  },
});

const redirect: Note = note("Answered with a redirect.", {
  fields: {
    uri: "The new path; all of it.",
    authority: "The new host.",
    port: "The new port.",
    derivePort: "Where the new port comes from instead: the scheme's, or the request's.",
    scheme: "The new scheme.",
    redirectCode: "The status; 301 unless given.",
    prefixRewrite: note("Not supported: write uri.", { shape: { type: "string" } }),
  },
});

const share = (about: string): Note => note(about, { shape: OLD_PERCENT });
const fault: Note = note("What goes wrong on purpose.", {
  fields: {
    delay: note("Requests are held up.", {
      fields: {
        fixedDelay: "For how long.",
        exponentialDelay: "Nothing here reads it: write fixedDelay.",
        percentage: percentage("How many of 100."),
        percent: share("The older form of percentage, without a fraction."),
      },
    }),
    abort: note("Requests are refused.", {
      fields: {
        httpStatus: "With this status of HTTP.",
        grpcStatus: "With this status of gRPC.",
        http2Error: "Nothing here reads it: write httpStatus.",
        percentage: percentage("How many of 100."),
        percent: share("The older form of percentage, without a fraction."),
      },
    }),
  },
});

const corsPolicy: Note = note("What pages of other origins may do.", {
  fields: {
    allowOrigin: "The older form of allowOrigins: exact ones, or *.",
    allowOrigins: texts("Origins that may call."),
    allowMethods: "Methods that they may use.",
    allowHeaders: "Headers that they may send.",
    exposeHeaders: "Headers of answers that they may read.",
    maxAge: "How long browsers may remember this.",
    allowCredentials: "Whether cookies and tokens may be sent.",
    unmatchedPreflights: "What becomes of preflight requests of other origins.",
  },
});

const httpRoute: Notes = {
  name: "A name for people and logs.",
  match,
  route: note("Where requests go, by weight.", {
    fields: { destination: note("One of the places.", { fields: destination }), weight, headers },
  }),
  redirect,
  directResponse: note("Answered by the waypoint itself.", {
    fields: {
      status: "The status.",
      body: note("What the answer says.", {
        facets: { maxProperties: 1 },
        fields: {
          string: "As text.",
          bytes: note("As bytes, in base64.", { facets: { format: "byte" } }),
        },
      }),
    },
  }),
  delegate: note("Another VirtualService, without hosts, whose routes stand here.", {
    fields: { name: "Its name.", namespace: "Its namespace; this one unless given." },
  }),
  rewrite: note("What is changed before the request is sent on.", {
    fields: {
      uri: "What stands for the part of the path that matched.",
      authority: "The new host.",
      uriRegexRewrite: note("A change of the path by expression.", {
        fields: { match: "RE2.", rewrite: "What stands for it; \\1 for the first group." },
      }),
    },
  }),
  timeout: "How long the whole request may take. Unbounded unless given.",
  retries: note("What is tried again. Twice, for failed connections, unless given.", {
    fields: {
      attempts: "How often, after the first time.",
      perTryTimeout: "How long each may take.",
      retryOn: "When, in Envoy's words: connect-failure,refused-stream,503 …",
      retryRemoteLocalities: "Whether other localities are tried.",
      retryIgnorePreviousHosts: "Whether the one that failed is left out.",
      backoff: "How long is waited before the first retry; each further wait is longer.",
    },
  }),
  fault,
  mirror: note("A service that gets a copy of each request; its answers are dropped.", {
    fields: destination,
  }),
  mirrors: note("Several such.", {
    fields: {
      destination: note("The service.", { fields: destination }),
      percentage: percentage("How many of 100 requests are copied; all unless given."),
    },
  }),
  mirrorPercentage: percentage("How many of 100 requests are copied to mirror."),
  mirrorPercent: note("The older form of mirrorPercentage, without a fraction.", {
    shape: OLD_PERCENT,
  }),
  corsPolicy,
  headers,
};

export const virtualService: CrdNotes = {
  plural: "virtualservices",
  shortNames: ["vs"],
  categories: ["istio-io", "networking-istio-io"],
  storage: "v1",
  about: "How a service's requests and connections are routed by its waypoint.",
  columns: [
    { name: "Hosts", about: "The services that it is for.", path: ".spec.hosts" },
    {
      name: "Gateways",
      about: "Where it holds; mesh unless given.",
      path: ".spec.gateways",
      wide: true,
    },
    {
      name: "Accepted",
      about: "Whether a waypoint routes by it.",
      path: conditionPath("ambientmesh.dev/Accepted"),
    },
    {
      name: "Reason",
      about: "Accepted, PartlyInForce or NotInForce.",
      path: conditionPath("ambientmesh.dev/Accepted", "reason"),
    },
    AGE,
  ],
  spec: note("Of the routes, the first that matches counts.", {
    fields: {
      hosts: "The services that it is for, by host name.",
      gateways,
      http: note("Routes of requests.", { fields: httpRoute }),
      tls: note("Routes of TLS connections that pass through, by the name they ask for.", {
        fields: {
          match: note("Connections that it is for.", {
            fields: { ...l4Match, sniHosts: "Names that they ask for." },
          }),
          route: l4Route,
        },
      }),
      tcp: note("Routes of any other connections.", {
        fields: {
          match: note("Connections that it is for; all unless given.", {
            fields: { ...l4Match, sourceSubnet: "Addresses that they come from." },
          }),
          route: l4Route,
        },
      }),
      exportTo,
    },
  }),
};
