/** Routes of a waypoint, from pod to pod: each feature once, through the whole path. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WaypointMesh } from "#test/support/waypoint-mesh.ts";

function route(name: string, rules: string, parent = "api"): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ${name}, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: ${parent}, port: 80}]
  rules: ${rules}
`;
}

const V1 = "{name: api-v1, port: 80}";
const V2 = "{name: api-v2, port: 80}";

/** The rules under test, each for a path of its own. */
const RULES = `
  - matches: [{path: {type: PathPrefix, value: /split}}]
    backendRefs: [{name: api-v1, port: 80, weight: 90}, {name: api-v2, port: 80, weight: 10}]
  - matches: [{path: {type: PathPrefix, value: /match}, headers: [{name: x-canary, value: "yes"}]}]
    backendRefs: [${V2}]
  - matches: [{path: {type: PathPrefix, value: /match}}]
    backendRefs: [${V1}]
  - matches: [{path: {type: PathPrefix, value: /old}}]
    filters:
    - type: URLRewrite
      urlRewrite:
        hostname: new.example
        path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}
    - type: RequestHeaderModifier
      requestHeaderModifier: {add: [{name: x-added, value: a}], remove: [x-secret]}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: x-answer, value: b}]}
    backendRefs: [${V1}]
  - matches: [{path: {type: PathPrefix, value: /moved}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: there.example, statusCode: 301}}]
  - matches: [{path: {type: PathPrefix, value: /slow}}]
    timeouts: {request: 2s}
    backendRefs: [${V1}]
  - matches: [{path: {type: PathPrefix, value: /flaky}}]
    retry: {attempts: 3, codes: [503], backoff: 10ms}
    backendRefs: [${V1}]
  - matches: [{path: {type: PathPrefix, value: /count}}]
    filters: [{type: RequestMirror, requestMirror: {backendRef: ${V2}}}]
    backendRefs: [${V1}]
  - matches: [{path: {type: PathPrefix, value: /nobody}}]
    backendRefs: [{name: no-such-service, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /zero}}]
    backendRefs: [{name: api-v1, port: 80, weight: 0}]
  - matches: [{path: {type: PathPrefix, value: /foreign}}]
    backendRefs: [{name: other, namespace: elsewhere, port: 80}]`;

const ELSEWHERE = `
apiVersion: v1
kind: Namespace
metadata: {name: elsewhere}
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: elsewhere}
spec: {ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: other, namespace: elsewhere, labels: {kubernetes.io/service-name: other}}
addressType: IPv4
ports: [{port: 8080, protocol: TCP}]
endpoints: []
`;

const GRANT = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: shop, namespace: elsewhere}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}]
  to: [{group: "", kind: Service}]
`;

/** A busy machine takes several minutes for a hundred changes. */
const SLOW = { timeout: 300_000 };

describe("a route of a waypoint", () => {
  let mesh: WaypointMesh;

  before(async () => {
    mesh = await WaypointMesh.start([ELSEWHERE]);
    await mesh.cluster.apply(route("rules", RULES));
    await mesh.until("the route is in force", "http://api.shop/nobody", (r) => r.status === 500);
  });
  after(() => mesh?.stop());

  test("splits requests by weight", async () => {
    const total = 400;
    const urls = Array.from({ length: total }, () => "http://api.shop/split");
    const { stdout } = await mesh.cluster.exec("web/client", ["curl", "-sS", ...urls], {
      timeoutMs: 60_000,
    });
    const second = [...stdout.matchAll(/"name":"api-v2"/g)].length;
    assert.equal([...stdout.matchAll(/"name":"api-v\d"/g)].length, total);
    // 40 expected, standard deviation 6: five of them.
    assert.ok(second >= 10 && second <= 70, `${second} of ${total} went to the 10 %`);
  });

  test("matches headers before a mere path", async () => {
    const canary = { options: ["-H", "x-canary: yes"] };
    assert.equal((await mesh.ask("http://api.shop/match/a", canary)).name, "api-v2");
    assert.equal((await mesh.ask("http://api.shop/match/a")).name, "api-v1");
    const { status } = await mesh.curl("http://api.shop/matchless");
    assert.equal(status, 404);
  });

  test("rewrites the path and the host, and changes headers both ways", async () => {
    const options = ["-H", "x-secret: 1"];
    const { headers, body } = await mesh.curl("http://api.shop/old/x?q=1", { options });
    const seen = JSON.parse(body);
    assert.equal(seen.url, "/new/x?q=1");
    assert.equal(seen.headers.host, "new.example");
    assert.equal(seen.headers["x-added"], "a");
    assert.equal(seen.headers["x-secret"], undefined);
    assert.equal(headers.get("x-answer"), "b");
  });

  test("redirects", async () => {
    const { status, headers } = await mesh.curl("http://api.shop/moved/x");
    assert.equal(status, 301);
    assert.match(headers.get("location") ?? "", /^http:\/\/there\.example(:80)?\/moved\/x$/);
  });

  test("ends what takes too long with 504", async () => {
    const { status } = await mesh.curl("http://api.shop/slow/15000");
    assert.equal(status, 504);
    assert.equal((await mesh.curl("http://api.shop/slow/1")).status, 200);
  });

  test("tries again where it says so, and no more often", async () => {
    const hidden = await mesh.curl("http://api.shop/flaky/a/2");
    assert.deepEqual([hidden.status, hidden.body], [200, "attempt 3\n"]);
    assert.equal((await mesh.curl("http://api.shop/flaky/b/9")).status, 503);
    assert.equal((await mesh.curl("http://api.shop/flaky/b/5")).body, "attempt 6\n");
  });

  test("mirrors requests to another backend, whose answers nobody gets", async () => {
    const direct = async () => Number((await mesh.curl("http://api-v2.shop/count/read")).body);
    const before = await direct();
    for (let i = 0; i < 5; i++) {
      assert.match((await mesh.curl("http://api.shop/count/x")).body, /^\d+$/);
    }
    await mesh.cluster.until("the mirror has them all", async () => (await direct()) >= before + 5);
  });

  test("answers 500 where no backend is valid, and where all weigh nothing", async () => {
    assert.equal((await mesh.curl("http://api.shop/nobody")).status, 500);
    assert.equal((await mesh.curl("http://api.shop/zero")).status, 500);
  });

  test("reaches another namespace while a ReferenceGrant allows it, and 500 after", async () => {
    assert.equal((await mesh.curl("http://api.shop/foreign")).status, 500);
    await mesh.cluster.apply(GRANT);
    await mesh.until("the grant is in force", "http://api.shop/foreign", (r) => r.status === 503);
    await mesh.cluster.delete("ReferenceGrant", "elsewhere/shop");
    await mesh.until("the grant is gone", "http://api.shop/foreign", (r) => r.status === 500);
  });
});

test("a hundred changes of a route, ten rules each, fail no request", SLOW, async () => {
  await using mesh = await WaypointMesh.start();
  const loaded = mesh.talk(["load", "http://api.shop/", "15", "100"], 60_000);
  for (let i = 0; i < 100; i++) {
    const backends = i % 2 === 0 ? V1 : `${V1}, ${V2}`;
    const filler = Array.from(
      { length: 10 },
      (_, j) => `{matches: [{path: {value: /${i}/${j}}}], backendRefs: [${V2}]}`,
    );
    const rules = [...filler, `{backendRefs: [${backends}]}`].join(", ");
    await mesh.cluster.apply(route("changing", `[${rules}]`));
  }
  const outcomes = await loaded;
  assert.deepEqual(Object.keys(outcomes), ["200"], JSON.stringify(outcomes));
});
