/** Notes of DestinationRule. */
import { AGE, type CrdNotes, conditionPath, type Note, type Notes, note } from "../note.ts";
import { exportTo, workloadMatchLabels } from "./shared.ts";

const PERCENT = { type: "number", format: "double", minimum: 0, maximum: 100 };
const text = (description: string) => ({ type: "string", description });
const count = (description: string) => ({
  type: "integer",
  minimum: 0,
  maximum: 4_294_967_295,
  format: "int64",
  description,
});

const consistentHash: Note = note("The same caller goes to the same endpoint: by one of these.", {
  fields: {
    httpHeaderName: "A header of the request.",
    httpCookie: note("A cookie, which is set where it is not there.", {
      fields: {
        name: "Its name.",
        path: "Its path.",
        ttl: "Its life; 0s for that of the browser's session.",
        attributes: note("Further attributes of the cookie.", {
          shape: {
            type: "array",
            items: {
              type: "object",
              required: ["name"],
              properties: { name: text("Like SameSite."), value: text("Like Strict.") },
            },
          },
        }),
      },
    }),
    useSourceIp: "The caller's address.",
    httpQueryParameterName: "A parameter of the query.",
    ringHash: note("Spread by a ring.", { fields: { minimumRingSize: "Places in the ring." } }),
    maglev: note("Spread by a table.", { fields: { tableSize: "Places in the table." } }),
    minimumRingSize: "The older form of ringHash.minimumRingSize.",
  },
});

const failovers = {
  type: "array",
  items: {
    type: "object",
    properties: { from: text("A region."), to: text("Where to when it fails.") },
  },
};

const localityLbSetting: Note = note("Nearer endpoints come first.", {
  fields: {
    enabled: "False switches it off.",
    distribute: note("Shares between localities, by that of the caller.", {
      fields: { from: "Locality of callers.", to: "Percent for each locality; 100 together." },
    }),
    failover: note("Regions that stand in for others.", {
      fields: { from: "The region that failed.", to: "The region that stands in." },
    }),
    failoverPriority: "Labels in whose order endpoints are preferred, where they are the caller's.",
  },
});

const loadBalancer: Note = note("Which endpoint is chosen.", {
  fields: {
    simple: "LEAST_REQUEST unless given.",
    consistentHash,
    localityLbSetting,
    warmup: note("New endpoints get less at first.", {
      fields: {
        duration: "For how long.",
        minimumPercent: note("What they get at first.", { shape: PERCENT }),
        aggression: note("How fast it grows; 1 is linear.", {
          shape: { type: "number", format: "double", minimum: 0 },
        }),
      },
    }),
    warmupDurationSecs: "The older form of warmup.duration.",
    zoneAware: note("Nothing here reads it.", {
      shape: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    }),
    zoneAwareLbSetting: note("Nothing here reads it: write localityLbSetting.", {
      shape: {
        type: "object",
        properties: {
          enabled: { type: "boolean", nullable: true },
          failover: failovers,
          failoverPriority: { type: "array", items: { type: "string" } },
          minClusterSize: { ...count("Endpoints from which on it is used."), nullable: true },
        },
      },
    }),
    backendUtilization: note("Nothing here reads it: write simple: LEAST_REQUEST.", {
      shape: {
        type: "object",
        properties: {
          errorUtilizationPenaltyPercent: count("What errors weigh."),
          metricNamesForComputingUtilization: { type: "array", items: { type: "string" } },
          weightExpirationPeriod: text("A duration."),
          weightStabilizationPeriod: text("A duration."),
          weightUpdatePeriod: text("A duration."),
        },
      },
    }),
  },
});

const connectionPool: Note = note("How much a waypoint opens, and for how long.", {
  fields: {
    tcp: note("Connections.", {
      fields: {
        maxConnections: "How many at once.",
        connectTimeout: "How long one may take to be made.",
        tcpKeepalive: note("Probes on connections that are quiet.", {
          fields: { probes: "How many.", time: "After how long.", interval: "How far apart." },
        }),
        maxConnectionDuration: "How long one may live.",
        idleTimeout: "How long one may be quiet.",
      },
    }),
    http: note("Requests.", {
      fields: {
        http1MaxPendingRequests: "How many may wait for a connection.",
        http2MaxRequests: "How many at once.",
        maxRequestsPerConnection: "How many on one connection, before it is closed.",
        maxRetries: "How many retries at once.",
        idleTimeout: "How long a connection without requests lives.",
        h2UpgradePolicy: "Whether HTTP/1.1 becomes HTTP/2 towards the workload.",
        useClientProtocol: "Whether the caller's protocol is used towards the workload.",
        maxConcurrentStreams: "How many requests at once on one connection of HTTP/2.",
        http2KeepAlive: note("Nothing here reads it.", {
          shape: {
            type: "object",
            properties: {
              interval: text("How far apart."),
              timeout: text("How long one may take."),
            },
          },
        }),
      },
    }),
  },
});

const outlierDetection: Note = note("Endpoints that fail are left out for a while.", {
  fields: {
    consecutiveErrors: "The older form of consecutiveGatewayErrors.",
    splitExternalLocalOriginErrors: "Whether failed connections are counted apart.",
    consecutiveLocalOriginFailures: "How many failed connections in a row.",
    consecutiveGatewayErrors: "How many of 502, 503 and 504 in a row.",
    consecutive5xxErrors: "How many of 500 to 599 in a row.",
    interval: "How often is looked.",
    baseEjectionTime: "How long for the first time; longer with each further.",
    maxEjectionPercent: "How many of 100 endpoints at most.",
    minHealthPercent: "With fewer of 100 left, none is left out.",
    outlierDetectionHttpErrorCodes: note("Nothing here reads it.", {
      shape: {
        type: "array",
        items: { type: "integer", format: "int32", minimum: 100, maximum: 599 },
      },
    }),
  },
});

const tls: Note = note("TLS from the waypoint to a server outside the mesh.", {
  fields: {
    mode: "DISABLE: plain text. SIMPLE: TLS. MUTUAL: with a certificate. ISTIO_MUTUAL: the mesh's.",
    clientCertificate: "File of the certificate.",
    privateKey: "File of its key.",
    caCertificates:
      "File of the roots that the server is checked against; the system's unless given.",
    credentialName: "A Secret with these instead.",
    subjectAltNames: "Names of which the server's certificate has to have one.",
    sni: "The name that is asked for.",
    insecureSkipVerify: "Whether the server is not checked at all.",
    caCrl: "File of revoked certificates.",
  },
});

const PORT_POLICY: Notes = { loadBalancer, connectionPool, outlierDetection, tls };

const trafficPolicy = (about: string): Note =>
  note(about, {
    fields: {
      ...PORT_POLICY,
      portLevelSettings: note("For single ports; what they do not say is the default's.", {
        fields: { ...PORT_POLICY, port: note("The port.", { fields: { number: "Its number." } }) },
      }),
      proxyProtocol: note("A PROXY header before everything else.", {
        fields: { version: "V1 is text, V2 is binary." },
      }),
      tunnel: note("Nothing here reads it: CONNECT through another proxy.", {
        shape: {
          type: "object",
          required: ["targetHost", "targetPort"],
          properties: {
            protocol: text("CONNECT or POST."),
            targetHost: text("Where to."),
            targetPort: count("Where to."),
          },
        },
      }),
      retryBudget: note("Nothing here reads it: how much of the traffic may be retries.", {
        shape: {
          type: "object",
          properties: {
            percent: { ...PERCENT, nullable: true },
            minRetryConcurrency: count("How many are always allowed."),
            budgetInterval: text("A duration."),
          },
        },
      }),
    },
  });

export const destinationRule: CrdNotes = {
  plural: "destinationrules",
  shortNames: ["dr"],
  categories: ["istio-io", "networking-istio-io"],
  storage: "v1",
  about: "What a waypoint does on the way to a service's endpoints, and the names of its parts.",
  columns: [
    { name: "Host", about: "The service that it is for.", path: ".spec.host" },
    {
      name: "Accepted",
      about: "Whether a waypoint follows it.",
      path: conditionPath("ambientmesh.dev/Accepted"),
    },
    {
      name: "Reason",
      about: "Accepted, PartlyInForce or NotInForce.",
      path: conditionPath("ambientmesh.dev/Accepted", "reason"),
    },
    AGE,
  ],
  spec: note("For one host.", {
    fields: {
      host: "The service: its name in this namespace, or its whole host name.",
      trafficPolicy: trafficPolicy("What holds for all endpoints."),
      subsets: note("Parts of the endpoints that routes can name.", {
        fields: {
          name: "The name.",
          labels: "Labels that endpoints of the part have.",
          trafficPolicy: trafficPolicy("What holds for this part instead."),
        },
      }),
      exportTo,
      workloadSelector: note("Callers that it is for; a waypoint asks for none.", {
        fields: { matchLabels: workloadMatchLabels },
      }),
    },
  }),
};
