/** VirtualService and DestinationRule: what Istio takes, and what its admission refuses. */
import {
  type Json,
  object,
  testFine,
  testWrong,
} from "#common/kubernetes/validate/validation-fixtures.ts";

const NETWORKING = "networking.istio.io";
const to = { destination: { host: "reviews" } };
const service = (spec: Json, version = "v1") =>
  object(`${NETWORKING}/${version}`, "VirtualService", { spec: { hosts: ["reviews"], ...spec } });
const http = (...routes: readonly Json[]) => service({ http: routes });
const route = (fields: Json) => http({ route: [to], ...fields });
const match = (fields: Json) => route({ match: [fields] });
const rule = (spec: Json, version = "v1") =>
  object(`${NETWORKING}/${version}`, "DestinationRule", { spec: { host: "reviews", ...spec } });
const policy = (trafficPolicy: Json) => rule({ trafficPolicy });
const balancer = (loadBalancer: Json) => policy({ loadBalancer });

testFine([
  ["a VirtualService", route({})],
  ["one of an older version", service({ http: [{ route: [to] }] }, "v1alpha3")],
  ["one that others delegate to", service({ hosts: [], http: [{ route: [to] }] })],
  ["one that delegates", http({ delegate: { name: "other", namespace: "shop" } })],
  [
    "a match of everything",
    match({
      name: "all",
      uri: { prefix: "/" },
      scheme: { exact: "http" },
      method: { regex: "GET|HEAD" },
      authority: { exact: "a.example" },
      headers: { "x-a": {}, cookie: { regex: "^(.*?;)?(user=jason)(;.*)?$" } },
      withoutHeaders: { "x-b": { exact: "1" } },
      queryParams: { debug: { exact: "true" } },
      port: 80,
      sourceLabels: { app: "a" },
      sourceNamespace: "shop",
      gateways: ["mesh", "infra/edge"],
      ignoreUriCase: true,
      statPrefix: "all",
    }),
  ],
  ["mirrors with a share", route({ mirrors: [{ ...to, percentage: { value: 0.5 } }] })],
  ["a mirror of an older time", route({ mirror: to.destination, mirrorPercent: 50 })],
  ["a TCP route without a match", service({ tcp: [{ route: [to] }] })],
  [
    "a TLS route",
    service({ tls: [{ match: [{ sniHosts: ["*.example.com"], port: 443 }], route: [to] }] }),
  ],
  ["a redirect", http({ redirect: { uri: "/new", redirectCode: 307 } })],
  ["a DestinationRule", rule({})],
  ["one of a wildcard", rule({ host: "*.example.com" }, "v1beta1")],
  [
    "one with everything",
    rule({
      trafficPolicy: {
        loadBalancer: { consistentHash: { httpCookie: { name: "user", ttl: "0s" } } },
        connectionPool: {
          tcp: { maxConnections: 1, tcpKeepalive: { time: "7200s", interval: "75s" } },
          http: { http2MaxRequests: 1, maxRetries: 3, useClientProtocol: true },
        },
        outlierDetection: { consecutive5xxErrors: 7, interval: "5m", baseEjectionTime: "15m" },
        tls: { mode: "SIMPLE", sni: "a.example" },
        portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: "ROUND_ROBIN" } }],
        proxyProtocol: { version: "V1" },
      },
      subsets: [{ name: "v1", labels: { version: "v1" }, trafficPolicy: {} }],
      exportTo: ["."],
      workloadSelector: { matchLabels: { app: "a" } },
    }),
  ],
]);

testWrong([
  ["a VirtualService without routes", service({}), [/spec: has no routes/]],
  ["a misspelt field", route({ timeOut: "1s" }), [/timeOut: is an unknown field \(did you mean/]],
  ["a route that does nothing", http({ name: "x" }), [/says of no request what becomes of it/]],
  [
    "a route that does two things",
    route({ redirect: { uri: "/" } }),
    [/http\[0\]\.redirect: cannot be combined with route/],
  ],
  [
    "a fault for a redirect",
    http({ redirect: { uri: "/" }, fault: { abort: { httpStatus: 500, percent: 1 } } }),
    [/fault: has no effect beside redirect/],
  ],
  ["two comparisons", match({ uri: { exact: "/", prefix: "/" } }), [/prefix: cannot be combined/]],
  ["an empty prefix", match({ uri: { prefix: "" } }), [/uri: compares with nothing/]],
  ["a bad expression", match({ uri: { regex: "(" } }), [/regex: is no RE2 regular expression/]],
  [
    "an expression that RE2 does not have",
    match({ uri: { regex: "(?=a)" } }),
    [/regex: is no RE2 regular expression/],
  ],
  [
    "a method among headers",
    match({ headers: { method: { exact: "GET" } } }),
    [/warning .*headers\.method: is taken as the header of that name/],
  ],
  [
    "routes that nothing reaches",
    http({ route: [to] }, { match: [{ port: 80 }], route: [to] }),
    [/warning spec\.http\[1\]: is never reached: item 0 takes all/],
  ],
  [
    "weights that add up to nothing",
    route({ route: [to, to] }),
    [/route: has several destinations, and the sum of weights is 0/],
  ],
  [
    "a host that is half complete",
    http({ route: [{ destination: { host: "reviews.shop.svc" } }] }),
    [/warning .*host: is taken as a whole host name \(write reviews\.shop\.svc\.cluster\.local/],
  ],
  [
    "a fault for nobody",
    route({ fault: { delay: { fixedDelay: "1s" } } }),
    [/warning .*delay: is done to no request/],
  ],
  [
    "a fault of more than all",
    route({ fault: { abort: { httpStatus: 500, percent: 101 } } }),
    [/percent: must be a number from 0 to 100/],
  ],
  [
    "retries that are off and on",
    route({ retries: { retryOn: "5xx" } }),
    [/attempts: is 0, which switches retries off/],
  ],
  ["a timeout that is none", route({ timeout: "fast" }), [/timeout: "fast" is no duration/]],
  [
    "a rewrite in two ways",
    route({ rewrite: { uri: "/", uriRegexRewrite: { match: "a", rewrite: "b" } } }),
    [/uriRegexRewrite: cannot be combined with uri/],
  ],
  [
    "a redirect to where it is",
    http({ redirect: { redirectCode: 302 } }),
    [/redirect: leads back to where the request was/],
  ],
  [
    "a mirror in two ways",
    route({ mirror: to.destination, mirrors: [to] }),
    [/mirrors: cannot be combined with mirror/],
  ],
  [
    "a TLS route without server names",
    service({ tls: [{ match: [{ port: 443 }], route: [to] }] }),
    [/sniHosts: is required but missing/],
  ],
  ["a subset twice", rule({ subsets: [{ name: "a" }, { name: "a" }] }), [/the same name a/]],
  [
    "an algorithm that is none",
    balancer({ simple: "ROUND_ROBBIN" }),
    [/simple: .* is none of .*did you mean ROUND_ROBIN/],
  ],
  [
    "two algorithms",
    balancer({ simple: "RANDOM", consistentHash: { useSourceIp: true } }),
    [/consistentHash: cannot be combined with simple/],
  ],
  ["a hash of nothing", balancer({ consistentHash: {} }), [/says nothing to hash/]],
  [
    "shares that are not all",
    balancer({ localityLbSetting: { distribute: [{ from: "a", to: { a: 90 } }] } }),
    [/to: adds up to 90, not 100/],
  ],
  [
    "failover to where it failed",
    balancer({ localityLbSetting: { failover: [{ from: "a", to: "a" }] } }),
    [/to: is the region that failed/],
  ],
  [
    "a warm-up that is sudden",
    balancer({ warmup: { duration: "1m", aggression: 0.5 } }),
    [/aggression: must be a number from 1 to 100/],
  ],
  [
    "MUTUAL without a certificate",
    policy({ tls: { mode: "MUTUAL" } }),
    [/mode: MUTUAL needs clientCertificate and privateKey, or credentialName/],
  ],
  [
    "a port twice",
    policy({ portLevelSettings: [{ port: { number: 1 } }, { port: { number: 1 } }] }),
    [/the same port 1/],
  ],
]);
