/** The trafficPolicy of a DestinationRule. */
import type {
  IstioClientTls,
  IstioConsistentHash,
  IstioLoadBalancer,
  IstioLocalityLb,
  IstioTrafficPolicy,
} from "#common/kubernetes/istio-traffic-policy.ts";
import { notEmpty } from "#common/kubernetes/validate/formats.ts";
import {
  checkPercent,
  duration,
  headerName,
  longDuration,
} from "#common/kubernetes/validate/istio-routes/texts.ts";
import {
  anything,
  boolean,
  integer,
  list,
  map,
  nullableAnything,
  nullableBoolean,
  nullableInteger,
  oneOf,
  port,
  type Report,
  type Schema,
  strictObject,
  text,
  unserved,
} from "#common/kubernetes/validate/schema.ts";

const consistentHash = strictObject<IstioConsistentHash>(
  {
    httpHeaderName: text(headerName),
    httpCookie: strictObject(
      { name: text(headerName), path: text(), ttl: text(duration), attributes: anything },
      { required: ["name"] },
    ),
    useSourceIp: boolean,
    httpQueryParameterName: text(notEmpty),
    ringHash: strictObject({ minimumRingSize: integer(0) }),
    maglev: strictObject({ tableSize: integer(0) }),
    minimumRingSize: integer(0),
  },
  { check: checkHash },
);

const HASH_KEYS = [
  "httpHeaderName",
  "httpCookie",
  "useSourceIp",
  "httpQueryParameterName",
] as const;

function checkHash(hash: IstioConsistentHash, report: Report): void {
  const [first, second] = HASH_KEYS.filter((key) => hash[key] !== undefined);
  if (first === undefined) {
    report("error", [], "says nothing to hash", `give one of ${HASH_KEYS.join(", ")}`);
  } else if (second !== undefined) {
    report("error", [second], `cannot be combined with ${first}`);
  }
}

const localityLbSetting = strictObject<IstioLocalityLb>(
  {
    enabled: nullableBoolean,
    distribute: list(strictObject({ from: text(notEmpty), to: map(integer(0, 100)) })),
    failover: list(strictObject({ from: text(notEmpty), to: text(notEmpty) })),
    failoverPriority: list(text(notEmpty)),
  },
  { check: checkLocalities },
);

function checkLocalities(setting: IstioLocalityLb, report: Report): void {
  const { distribute = [], failover = [], failoverPriority = [] } = setting;
  if (distribute.length > 0 && failover.length + failoverPriority.length > 0) {
    report("error", ["distribute"], "cannot be combined with failover or failoverPriority");
  }
  distribute.forEach(({ to = {} }, index) => {
    const sum = Object.values(to).reduce((total, share) => total + share, 0);
    if (sum !== 100) report("error", ["distribute", index, "to"], `adds up to ${sum}, not 100`);
  });
  failover.forEach(({ from, to }, index) => {
    if (from === to) report("error", ["failover", index, "to"], "is the region that failed");
  });
}

const loadBalancer = strictObject<IstioLoadBalancer>(
  {
    simple: oneOf(
      ...["UNSPECIFIED", "LEAST_CONN", "LEAST_REQUEST", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN"],
    ),
    consistentHash,
    localityLbSetting,
    warmup: strictObject<NonNullable<IstioLoadBalancer["warmup"]>>(
      {
        duration: text(longDuration),
        minimumPercent: nullableAnything,
        aggression: nullableAnything,
      },
      { required: ["duration"], check: checkWarmup },
    ),
    warmupDurationSecs: text(longDuration),
    zoneAware: anything,
    zoneAwareLbSetting: unserved("warning", "write localityLbSetting"),
    backendUtilization: unserved("warning", "write simple: LEAST_REQUEST"),
  },
  {
    check: ({ simple, consistentHash: hash }, report) => {
      if (simple === undefined || hash === undefined) return;
      report("error", ["consistentHash"], "cannot be combined with simple");
    },
  },
);

/** Source: Istio's admission: a share of 0 is none, and growth is linear or slower at first. */
function checkWarmup(
  { minimumPercent, aggression }: NonNullable<IstioLoadBalancer["warmup"]>,
  report: Report,
): void {
  checkPercent(minimumPercent, ["minimumPercent"], report);
  if (aggression === undefined) return;
  if (typeof aggression === "number" && aggression >= 1 && aggression <= 100) return;
  report("error", ["aggression"], "must be a number from 1 to 100");
}

const connectionPool = strictObject({
  tcp: strictObject({
    maxConnections: integer(0),
    connectTimeout: text(longDuration),
    tcpKeepalive: strictObject({ probes: integer(0), time: text(), interval: text() }),
    maxConnectionDuration: text(longDuration),
    idleTimeout: text(duration),
  }),
  http: strictObject({
    http1MaxPendingRequests: integer(0),
    http2MaxRequests: integer(0),
    maxRequestsPerConnection: integer(0),
    maxRetries: integer(0),
    idleTimeout: text(duration),
    h2UpgradePolicy: oneOf("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"),
    useClientProtocol: boolean,
    maxConcurrentStreams: integer(0),
    http2KeepAlive: unserved("warning"),
  }),
});

const outlierDetection = strictObject({
  consecutiveErrors: integer(0),
  splitExternalLocalOriginErrors: boolean,
  consecutiveLocalOriginFailures: nullableInteger(0),
  consecutiveGatewayErrors: nullableInteger(0),
  consecutive5xxErrors: nullableInteger(0),
  interval: text(longDuration),
  baseEjectionTime: text(longDuration),
  maxEjectionPercent: integer(0, 100),
  minHealthPercent: integer(0, 100),
  outlierDetectionHttpErrorCodes: unserved("warning"),
});

const tls = strictObject<IstioClientTls>(
  {
    mode: oneOf("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"),
    clientCertificate: text(),
    privateKey: text(),
    caCertificates: text(),
    credentialName: text(),
    subjectAltNames: list(text(notEmpty)),
    sni: text(),
    insecureSkipVerify: nullableBoolean,
    caCrl: text(),
  },
  { check: checkTls },
);

function checkTls(settings: IstioClientTls, report: Report): void {
  const { mode, credentialName, clientCertificate, privateKey } = settings;
  if (mode !== "MUTUAL" || credentialName !== undefined) return;
  if (clientCertificate !== undefined && privateKey !== undefined) return;
  const message = "needs clientCertificate and privateKey, or credentialName";
  report("error", ["mode"], `MUTUAL ${message}`);
}

const PORT_POLICY = { loadBalancer, connectionPool, outlierDetection, tls };

export const trafficPolicy: Schema = strictObject<IstioTrafficPolicy>({
  ...PORT_POLICY,
  portLevelSettings: list<NonNullable<IstioTrafficPolicy["portLevelSettings"]>[number]>(
    strictObject(
      { ...PORT_POLICY, port: strictObject({ number: port }, { required: ["number"] }) },
      { required: ["port"] },
    ),
    { unique: (settings) => `port ${settings.port?.number}` },
  ),
  proxyProtocol: strictObject({ version: oneOf("V1", "V2") }),
  tunnel: anything,
  retryBudget: anything,
});
