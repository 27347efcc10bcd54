/** What a waypoint asks of a request before it passes, from pod to pod. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { PodSockets, readBytes, readToEnd } from "#test/support/pod-sockets.ts";
import { WaypointMesh } from "#test/support/waypoint-mesh.ts";

const TARGET = '{kind: Service, group: "", name: api}';

function authorization(name: string, spec: string, target = TARGET): string {
  return `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ${name}, namespace: shop}
spec:
  targetRefs: [${target}]
${spec}
`;
}

const DENY_DEBUG = authorization(
  "no-debug",
  `  action: DENY
  rules: [{to: [{operation: {paths: ["/debug/*"]}}]}]`,
);

const ALLOW_WEB = authorization(
  "only-web",
  `  rules:
  - from: [{source: {principals: ["cluster.local/ns/web/sa/default"]}}]
    to: [{operation: {methods: [GET, POST, HEAD]}}]`,
);

const ADMINS = authorization(
  "claims",
  `  rules:
  - from: [{source: {requestPrincipals: ["https://issuer.example/alice"]}}]
    when: [{key: "request.auth.claims[groups]", values: [admins]}]`,
);

function tokensNeeded(jwks: string): string {
  return `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: shop}
spec:
  targetRefs: [${TARGET}]
  jwtRules:
  - issuer: https://issuer.example
    jwks: '${jwks}'
    outputClaimToHeaders: [{header: x-user, claim: sub}]
`;
}

/** A key set, and tokens of alice signed with it. */
async function issuer(): Promise<{
  readonly jwks: string;
  readonly token: (claims: object, issuer?: string) => Promise<string>;
}> {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "k" }] });
  const token = (claims: object, by = "https://issuer.example") =>
    new SignJWT({ ...claims })
      .setProtectedHeader({ alg: "ES256", kid: "k" })
      .setIssuer(by)
      .setSubject("alice")
      .setExpirationTime("1h")
      .sign(privateKey);
  return { jwks, token };
}

describe("a waypoint's policies", () => {
  let mesh: WaypointMesh;

  before(async () => {
    mesh = await WaypointMesh.start();
  });
  after(() => mesh?.stop());

  const status = async (path: string, from = "web", ...options: string[]) =>
    (await mesh.curl(`http://api.shop${path}`, { from, options })).status;

  test("deny by path, however the path is written", async () => {
    await mesh.cluster.apply(DENY_DEBUG);
    await mesh.until("the policy is in force", "http://api.shop/debug/x", (r) => r.status === 403);
    for (const path of ["/debug/", "/a/../debug/x", "/%64ebug/x", "/debug/x?y"]) {
      assert.equal(await status(path, "web", "--path-as-is"), 403, path);
    }
    const { body } = await mesh.curl("http://api.shop/debug/x");
    assert.equal(body.trim(), "RBAC: access denied");
    assert.equal(await status("/other"), 200);
    await mesh.cluster.delete("AuthorizationPolicy", "shop/no-debug");
    await mesh.until("the policy is gone", "http://api.shop/debug/x", (r) => r.status === 200);
  });

  test("allow by who asks and how, and nobody else", async () => {
    await mesh.cluster.apply(ALLOW_WEB);
    const fromBatch = { from: "batch" };
    await mesh.until("it is in force", "http://api.shop/", (r) => r.status === 403, fromBatch);
    assert.equal(await status("/"), 200);
    assert.equal(await status("/", "web", "-X", "DELETE"), 403);
    const forged = ["x-forwarded-client-cert: URI=spiffe://cluster.local/ns/web/sa/default"];
    assert.equal(await status("/", "batch", "-H", ...forged), 403);
    assert.equal((await mesh.curl("http://api-v1.shop/", fromBatch)).status, 200);
    await mesh.cluster.delete("AuthorizationPolicy", "shop/only-web");
    await mesh.until("it is gone", "http://api.shop/", (r) => r.status === 200, fromBatch);
  });

  test("hold for the whole gateway where that is their target", async () => {
    const target = "{kind: Gateway, group: gateway.networking.k8s.io, name: waypoint}";
    await mesh.cluster.apply(
      authorization(
        "frozen",
        "  action: DENY\n  rules: [{to: [{operation: {methods: [PUT]}}]}]",
        target,
      ),
    );
    const put = { options: ["-X", "PUT"] };
    await mesh.until("it is in force", "http://api-v1.shop/", (r) => r.status === 403, put);
    assert.equal(await status("/", "web", "-X", "PUT"), 403);
    await mesh.cluster.delete("AuthorizationPolicy", "shop/frozen");
    await mesh.until("it is gone", "http://api-v1.shop/", (r) => r.status === 200, put);
  });

  test("verify tokens, and let only their claims in", async () => {
    const { jwks, token } = await issuer();
    await mesh.cluster.apply(tokensNeeded(jwks), ADMINS);
    const bearer = (jwt: string) => ["-H", `authorization: Bearer ${jwt}`, "-H", "x-user: mallory"];
    // One of the two may come first: with a bad token each of them has a status of its own.
    const bad = { options: bearer("not.a.token") };
    await mesh.until("tokens are verified", "http://api.shop/", (r) => r.status === 401, bad);
    await mesh.until("claims are asked for", "http://api.shop/", (r) => r.status === 403);
    const admin = await token({ groups: ["admins", "staff"] });
    const { headers } = await mesh.ask("http://api.shop/", { options: bearer(admin) });
    assert.equal(headers["x-user"], "alice");
    assert.equal(headers.authorization, undefined);
    assert.equal(await status("/", "web", ...bearer(await token({ groups: ["staff"] }))), 403);
    const stranger = await token({ groups: ["admins"] }, "https://other.example");
    assert.equal(await status("/", "web", ...bearer(stranger)), 401);
    const [head = "", body = ""] = admin.split(".");
    assert.equal(await status("/", "web", ...bearer(`${head}.${body}.AAAA`)), 401);
    const none = Buffer.from('{"alg":"none"}').toString("base64url");
    assert.equal(await status("/", "web", ...bearer(`${none}.${body}.`)), 401);
    await mesh.cluster.delete("AuthorizationPolicy", "shop/claims");
    await mesh.cluster.delete("RequestAuthentication", "shop/jwt");
    await mesh.until("it is gone", "http://api.shop/", (r) => r.status === 200);
  });

  test("count requests, each caller's apart, and say when to come again", async () => {
    await mesh.cluster.apply(`
apiVersion: ambientmesh.dev/v1alpha1
kind: RateLimitPolicy
metadata: {name: few, namespace: shop}
spec:
  targetRefs: [${TARGET}]
  limits:
  - keys: [{type: Identity}]
    local: {requests: 5, per: 1h}
`);
    const limited = await mesh.until(
      "the limit is met",
      "http://api.shop/",
      (r) => r.status === 429,
    );
    assert.match(limited.headers.get("retry-after") ?? "", /^\d+$/);
    assert.equal(limited.headers.get("x-ratelimit-remaining"), "0");
    assert.equal(await status("/", "batch"), 200);
    await mesh.cluster.delete("RateLimitPolicy", "shop/few");
    await mesh.until("the limit is gone", "http://api.shop/", (r) => r.status === 200);
  });

  test("ask an authorizer, and deny while nobody knows it", async () => {
    await mesh.cluster.apply(
      authorization(
        "custom",
        `  action: CUSTOM
  provider: {name: nobody}
  rules: [{to: [{operation: {paths: [/admin]}}]}]`,
      ),
    );
    await mesh.until("it is in force", "http://api.shop/admin", (r) => r.status === 403);
    assert.equal(await status("/other"), 200);
    // The app itself authorizes: what it answers to the check decides.
    await mesh.cluster.apply(`
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    extensionProviders:
    - name: nobody
      envoyExtAuthzHttp:
        service: api-v2.shop.svc.cluster.local
        port: 80
        pathPrefix: /status/200
`);
    await mesh.until("the authorizer agrees", "http://api.shop/admin", (r) => r.status === 200);
    await mesh.cluster.delete("AuthorizationPolicy", "shop/custom");
  });

  test("cut a TCP connection that they no longer allow, and no other", async () => {
    using sockets = new PodSockets(mesh.cluster);
    const ip = (await mesh.cluster.find("Service", "shop/api"))?.spec.clusterIP ?? "";
    const dial = async (from: string) => {
      const socket = await sockets.dial(from, { ip, port: 90 });
      await readBytes(socket, 1);
      return socket;
    };
    // A policy that an earlier test has taken away may still be in force.
    const isLetIn = () => dial("web/client").then(Boolean, () => false);
    await mesh.cluster.until("nothing else refuses them", isLetIn);
    const [denied, allowed] = [await dial("web/client"), await dial("batch/client")];
    const ended = readToEnd(denied);
    const notWeb = "  action: DENY\n  rules: [{from: [{source: {namespaces: [web]}}]}]";
    await mesh.cluster.apply(authorization("not-web", notWeb));
    assert.match((await ended).how, /^(reset|end)$/);
    allowed.write("?");
    assert.match(String(await readBytes(allowed, 1)), /\?$/);
    await mesh.cluster.delete("AuthorizationPolicy", "shop/not-web");
    await mesh.until("it is gone", "http://api.shop/", (r) => r.status === 200);
  });

  test("say of themselves whether they are in force", async () => {
    await mesh.cluster.apply(
      authorization("lost", "  rules: [{}]", "{kind: Service, name: nowhere}"),
    );
    await mesh.cluster.until("its status says so", async () => {
      const policy = await mesh.cluster.find("AuthorizationPolicy", "shop/lost");
      const [condition] = policy?.status?.conditions ?? [];
      return condition?.type === "WaypointAccepted" && condition.status === "False";
    });
  });
});
