import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { base64url, exportJWK, SignJWT } from "jose";
import { createLogger } from "#common/telemetry/logger.ts";
import { p256 } from "#common/tls/authority-fixture.ts";
import {
  publicJwks,
  SERVICE_ACCOUNT_ISSUER,
  signServiceAccountToken,
} from "#common/tls/service-account-token.ts";
import { TOKEN_BYTES } from "../limits.ts";
import { JwksFile } from "./jwks-file.ts";
import { JwksTokenReviewer } from "./token-review.ts";

const dir = mkdtempSync(join(tmpdir(), "token-review-"));
after(() => rmSync(dir, { recursive: true }));
const HOUR_S = 3600;
const key = p256().privateKey;
const logger = createLogger({ level: "error", format: "text", write: () => undefined });

const POD = {
  namespace: "istio-system",
  serviceAccount: "ztunnel",
  podName: "ztunnel-abc",
  podUid: "11111111-2222-3333-4444-555555555555",
  node: "node1",
};

/** A reviewer with a clock of its own over a key set file. */
async function setUp(jwks?: string) {
  const path = join(mkdtempSync(join(dir, "jwks-")), "jwks.json");
  const write = (content: string): void => {
    writeFileSync(`${path}.new`, content);
    renameSync(`${path}.new`, path);
  };
  if (jwks !== "") write(jwks ?? JSON.stringify(await publicJwks(key)));
  const clock = { now: Date.now() };
  const now = () => clock.now;
  const reviewer = new JwksTokenReviewer(new JwksFile(path, logger, now), { now });
  const review = (token: string) => reviewer.review(`Bearer ${token}`);
  const refuses = (token: string, shown: string) =>
    assert.rejects(review(token), { code: "UNAUTHENTICATED" }, `${shown} should be refused`);
  return { reviewer, review, refuses, clock, write };
}

const KUBERNETES = {
  namespace: "istio-system",
  node: { name: "node1" },
  pod: { name: "ztunnel-abc", uid: "1" },
  serviceaccount: { name: "ztunnel" },
};

/** A token with claims of one's own; what is undefined is left out. */
function tokenWith(
  claims: Readonly<Record<string, unknown>>,
  signer: KeyObject = key,
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({
    iss: SERVICE_ACCOUNT_ISSUER,
    aud: ["istio-ca"],
    sub: "system:serviceaccount:istio-system:ztunnel",
    iat: now,
    exp: now + HOUR_S,
    "kubernetes.io": KUBERNETES,
    ...claims,
  })
    .setProtectedHeader({ alg: "ES256" })
    .sign(signer);
}

test("a bound token names the pod that carries it", async () => {
  const { review } = await setUp();
  assert.deepEqual(await review(await signServiceAccountToken(key, POD, HOUR_S)), POD);
});

test("a token without the node claim names no node", async () => {
  const { review } = await setUp();
  const { node: _node, ...kubernetes } = KUBERNETES;
  const caller = await review(await tokenWith({ "kubernetes.io": kubernetes }));
  assert.equal(caller.node, undefined);
  assert.equal(caller.serviceAccount, "ztunnel");
});

test("calls without a bearer token are refused", async () => {
  const { reviewer } = await setUp();
  const token = await signServiceAccountToken(key, POD, HOUR_S);
  const wrong = [undefined, "", "Bearer", "Bearer ", token, `Basic ${token}`, `Bearer ${token} x`];
  for (const header of [...wrong, `Bearer ${token}\n`, "Bearer a.b", "Bearer a.b.c"]) {
    await assert.rejects(reviewer.review(header), { code: "UNAUTHENTICATED" }, String(header));
  }
});

test("an oversized token is refused unread", async () => {
  const { refuses } = await setUp();
  await refuses(await tokenWith({ padding: "x".repeat(TOKEN_BYTES) }), "16 KiB");
});

test("D4.66 another issuer, another audience and missing claims are refused", async () => {
  const { refuses } = await setUp();
  const wrong: Record<string, Record<string, unknown>> = {
    issuer: { iss: "https://evil.example" },
    "no issuer": { iss: undefined },
    audience: { aud: ["kubernetes"] },
    "no audience": { aud: undefined },
    "no expiry": { exp: undefined },
    "no subject": { sub: undefined },
    "no kubernetes.io": { "kubernetes.io": undefined },
  };
  for (const [shown, claims] of Object.entries(wrong))
    await refuses(await tokenWith(claims), shown);
});

test("a token that is not bound to a pod is refused", async () => {
  const { refuses } = await setUp();
  const { pod: _pod, ...unbound } = KUBERNETES;
  await refuses(await tokenWith({ "kubernetes.io": unbound }), "no pod");
  for (const pod of [{ name: "x" }, { uid: "x" }, "x", null, [], { name: "x", uid: 5 }]) {
    await refuses(
      await tokenWith({ "kubernetes.io": { ...KUBERNETES, pod } }),
      JSON.stringify(pod),
    );
  }
});

test("a subject that contradicts the claims, or is malformed, is refused", async () => {
  const { refuses } = await setUp();
  const subjects = [
    "system:serviceaccount:istio-system:other",
    "system:serviceaccount:other:ztunnel",
    "system:serviceaccount:istio-system",
    "system:serviceaccount",
    "ztunnel",
    "",
    "system:serviceaccount:istio-system:ztunnel:x",
    "x".repeat(5000),
  ];
  for (const sub of subjects) await refuses(await tokenWith({ sub }), sub);
  const names = ["a/b", "..", "A", "a\nb", "", 5, { length: 1 }];
  for (const namespace of names) {
    const kubernetes = { ...KUBERNETES, namespace };
    const sub = `system:serviceaccount:${String(namespace)}:ztunnel`;
    await refuses(await tokenWith({ sub, "kubernetes.io": kubernetes }), String(namespace));
  }
});

test("D4.66 expired and early tokens are refused, but for a little leeway", async () => {
  const { review, refuses, clock } = await setUp();
  const token = await signServiceAccountToken(key, POD, HOUR_S, clock.now);
  const issued = clock.now;
  clock.now = issued + HOUR_S * 1000 + 5_000;
  await review(token);
  clock.now = issued + HOUR_S * 1000 + 15_000;
  await refuses(token, "expired");
  clock.now = issued - 15_000;
  await refuses(token, "not yet valid");
});

test("a token of another key, or changed after signing, is refused", async () => {
  const { refuses } = await setUp();
  await refuses(await signServiceAccountToken(p256().privateKey, POD, HOUR_S), "another key");
  const [header = "", , signature = ""] = (await tokenWith({})).split(".");
  const claims = base64url.encode(
    JSON.stringify({ sub: "system:serviceaccount:kube-system:root" }),
  );
  await refuses([header, claims, signature].join("."), "changed claims");
});

test("alg none, and a public key used as an HMAC secret, are refused", async () => {
  const { refuses } = await setUp();
  const [, claims = ""] = (await tokenWith({})).split(".");
  const none = base64url.encode(JSON.stringify({ alg: "none" }));
  await refuses(`${none}.${claims}.AA`, "alg none");
  const jwk = await exportJWK(key);
  const secret = new TextEncoder().encode(JSON.stringify({ ...jwk, d: undefined }));
  const forged = await new SignJWT({ sub: "x" }).setProtectedHeader({ alg: "HS256" }).sign(secret);
  await refuses(forged, "HS256");
});

test("RS256 tokens, as an API server with an RSA key signs them, are accepted", async () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = { ...(await exportJWK(rsa.publicKey)), alg: "RS256", kid: "r" };
  const { review } = await setUp(JSON.stringify({ keys: [jwk] }));
  const now = Math.floor(Date.now() / 1000);
  const token = await new SignJWT({ "kubernetes.io": KUBERNETES })
    .setProtectedHeader({ alg: "RS256", kid: "r" })
    .setIssuer(SERVICE_ACCOUNT_ISSUER)
    .setAudience("istio-ca")
    .setSubject("system:serviceaccount:istio-system:ztunnel")
    .setExpirationTime(now + HOUR_S)
    .sign(rsa.privateKey);
  assert.equal((await review(token)).podName, "ztunnel-abc");
});

test("a replaced key set counts within seconds, also against tokens accepted before", async () => {
  const { review, refuses, clock, write } = await setUp();
  const next = p256().privateKey;
  const [old, fresh] = await Promise.all(
    [key, next].map((signer) => signServiceAccountToken(signer, POD, HOUR_S)),
  );
  assert.ok(old && fresh);
  await review(old);
  await refuses(fresh, "a key that is not there yet");
  write(JSON.stringify(await publicJwks(next)));
  clock.now += 1_500;
  await review(fresh);
  await refuses(old, "a withdrawn key");
});

test("an unreadable key set leaves the last good one in force", async () => {
  const { review, clock, write } = await setUp();
  const token = await signServiceAccountToken(key, POD, HOUR_S);
  await review(token);
  for (const broken of [
    "",
    "{",
    "[]",
    "null",
    '{"keys":[]}',
    '{"keys":[{"kty":"oct","k":"AA"}]}',
  ]) {
    write(broken);
    clock.now += 1_500;
    await review(token);
  }
});

test("without a key set nobody passes, until the file is there", async () => {
  const { review, refuses, clock, write } = await setUp("");
  const token = await signServiceAccountToken(key, POD, HOUR_S);
  await refuses(token, "no keys");
  write(JSON.stringify(await publicJwks(key)));
  clock.now += 1_500;
  await review(token);
});

test("a remembered token is refused once it has expired", async () => {
  const { review, refuses, clock } = await setUp();
  const token = await signServiceAccountToken(key, POD, 30, clock.now);
  await review(token);
  clock.now += 29_000;
  await review(token);
  clock.now += 12_000;
  await refuses(token, "expired though remembered");
});
