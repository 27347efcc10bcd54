import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { makeIdentity } from "#common/model/identity.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { p256, TestAuthority } from "#common/tls/authority-fixture.ts";
import { createWorkloadSecureContext } from "#common/tls/mtls-options.ts";
import { publicKeyOfCsr } from "#common/tls/parse-csr.ts";
import { type Answer, clientOf, issue, startCa, WEB } from "./ca-fixture.ts";

async function failsWith(attempt: Promise<unknown>, code: string, text: RegExp): Promise<void> {
  await assert.rejects(attempt, (error: unknown) => {
    assert.ok(error instanceof MeshError, String(error));
    assert.equal(error.code, code, describeError(error));
    assert.match(describeError(error), text);
    return true;
  });
}

test("a fetched certificate can serve at once, with its key, chain and roots", async () => {
  const ca = TestAuthority.root().intermediate();
  const { url } = await startCa(ca, (request) => issue(ca, request));
  const certificate = await clientOf(url, ca.rootsPem).client.fetch(WEB);
  assert.deepEqual(certificate.identity, WEB);
  assert.equal(certificate.rootsPem, ca.rootsPem);
  assert.equal(certificate.certChainPem.match(/BEGIN/g)?.length, 2, "leaf and intermediate");
  assert.ok(certificate.notBefore < Date.now() && Date.now() < certificate.notAfter);
  assert.match(certificate.serial, /^[0-9a-f]{32}$/);
  createWorkloadSecureContext(certificate);
});

test("the CA is asked as Istio's is: token, cluster, lifetime, identity, new key", async () => {
  const ca = TestAuthority.root();
  const { url, requests } = await startCa(ca, (request) => issue(ca, request));
  const { client, tokenFile } = clientOf(url, ca.rootsPem);
  const first = await client.fetch(WEB);
  writeFileSync(tokenFile, "second.token.x");
  const second = await client.fetch(WEB);
  assert.deepEqual(
    requests.map(({ metadata }) => [metadata.get("authorization"), metadata.get("clusterid")]),
    [
      [["Bearer first.token.x"], ["Kubernetes"]],
      [["Bearer second.token.x"], ["Kubernetes"]],
    ],
    "the token is read again for every call",
  );
  for (const { request } of requests) {
    assert.equal(request.validityDurationS, 3_600);
    assert.deepEqual(request.metadata, { ImpersonatedIdentity: WEB.uri });
  }
  assert.notEqual(first.privateKeyPem, second.privateKeyPem);
  const key = createPublicKey(createPrivateKey(first.privateKeyPem));
  assert.ok(key.equals(publicKeyOfCsr(requests[0]?.request.csr ?? "")));
});

test("a chain that repeats the root, or keeps intermediates in one element, is taken", async () => {
  const ca = TestAuthority.root().intermediate().intermediate();
  const { url } = await startCa(ca, (request) => {
    const [leaf = "", ...rest] = issue(ca, request).certChain;
    return { certChain: [leaf, rest.join("\n"), ca.rootsPem] };
  });
  const { certChainPem } = await clientOf(url, ca.rootsPem).client.fetch(WEB);
  assert.equal(certChainPem.match(/BEGIN/g)?.length, 3, "leaf and intermediates, no root");
});

test("several roots are kept: one is being replaced", async () => {
  const [ca, next] = [TestAuthority.root(), TestAuthority.root()];
  const bundle = next.rootsPem + ca.rootsPem;
  const { url } = await startCa(ca, (request) => {
    return { certChain: [...issue(ca, request).certChain.slice(0, -1), bundle] };
  });
  assert.equal((await clientOf(url, ca.rootsPem).client.fetch(WEB)).rootsPem, bundle);
});

const ca = TestAuthority.root();
const other = makeIdentity("cluster.local", "shop", "admin");
const names = (...uris: string[]) => uris.map((value) => ({ type: "uri", value }) as const);
const UNUSABLE: readonly [string, Answer, RegExp][] = [
  [
    "for another identity",
    (request) => issue(ca, request, { subjectAltNames: names(other.uri) }),
    /certificate is for .*sa\/admin/,
  ],
  [
    "with a second identity",
    (request) => issue(ca, request, { subjectAltNames: names(WEB.uri, other.uri) }),
    /2 URI names/,
  ],
  [
    "for another key",
    (request) => issue(ca, request, { publicKey: p256().publicKey }),
    /another key/,
  ],
  [
    "that is good for servers only",
    (request) => issue(ca, request, { keyPurposes: ["serverAuth"] }),
    /clientAuth/,
  ],
  [
    "that is a CA's",
    (request) => issue(ca, request, { basicConstraints: { ca: true } }),
    /is a CA's/,
  ],
  [
    "that has expired",
    (request) => issue(ca, request, { notAfter: new Date(Date.now() - 1_000) }),
    /expired at/,
  ],
  [
    "that is not valid yet",
    (request) => issue(ca, request, { notBefore: new Date(Date.now() + 600_000) }),
    /not valid before/,
  ],
  [
    "with roots that did not sign it",
    (request) => ({
      certChain: [...issue(ca, request).certChain.slice(0, -1), TestAuthority.root().rootsPem],
    }),
    /no issuer/,
  ],
  [
    "below an intermediate that is no CA",
    (request) => issue(ca.intermediate({ basicConstraints: { ca: false } }), request),
    /no issuer/,
  ],
  [
    "without roots",
    (request) => ({ certChain: issue(ca, request).certChain.slice(0, 1) }),
    /1 elements/,
  ],
  ["without anything", () => ({ certChain: [] }), /0 elements/],
  ["of garbage", () => ({ certChain: ["garbage", "more"] }), /no PEM certificate/],
  [
    "of broken PEM",
    () => {
      const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
      return { certChain: [broken, broken] };
    },
    /cannot be read/,
  ],
  [
    "of a thousand certificates",
    (request) => {
      const { certChain } = issue(ca, request);
      return { certChain: [...Array<string>(1_000).fill(certChain[0] ?? ""), ca.rootsPem] };
    },
    /too large|more than/,
  ],
];

for (const [what, answer, text] of UNUSABLE) {
  test(`an answer ${what} is never used`, async () => {
    const { url } = await startCa(ca, answer);
    await failsWith(clientOf(url, ca.rootsPem).client.fetch(WEB), "CA_ANSWER_INVALID", text);
  });
}

test("a refusal is reported with the CA's words", async () => {
  const { url } = await startCa(ca, () => {
    const details = "request authenticate failure";
    throw Object.assign(new Error(details), { code: status.UNAUTHENTICATED, details });
  });
  const attempt = clientOf(url, ca.rootsPem).client.fetch(WEB);
  await failsWith(attempt, "CA_CALL_FAILED", /sa\/web.*request authenticate failure/);
});

test("a CA that never answers is given up in time", async () => {
  const { url } = await startCa(ca, () => undefined);
  const attempt = clientOf(url, ca.rootsPem, 200).client.fetch(WEB);
  await failsWith(attempt, "CA_CALL_FAILED", /DEADLINE_EXCEEDED/);
});

test("the token goes to no server that our root file does not vouch for", async () => {
  const impostor = TestAuthority.root();
  const { url, requests } = await startCa(impostor, (request) => issue(impostor, request));
  const attempt = clientOf(url, ca.rootsPem, 2_000).client.fetch(WEB);
  await failsWith(attempt, "CA_CALL_FAILED", /UNAVAILABLE|DEADLINE/);
  assert.equal(requests.length, 0);
});

test("a missing token or root file is named", async () => {
  const { url } = await startCa(ca, (request) => issue(ca, request));
  const { client, tokenFile, rootCertFile } = clientOf(url, ca.rootsPem);
  rmSync(tokenFile);
  await failsWith(client.fetch(WEB), "TOKEN_UNREADABLE", /istio-token/);
  writeFileSync(tokenFile, "a.b.c");
  rmSync(rootCertFile);
  await failsWith(client.fetch(WEB), "ROOTS_UNREADABLE", /root-cert\.pem/);
  writeFileSync(rootCertFile, ca.rootsPem);
  await client.fetch(WEB);
});

test("D4.34 a CA that comes back is found again, without a restart", async () => {
  const first = await startCa(ca, (request) => issue(ca, request));
  const { client } = clientOf(first.url, ca.rootsPem, 2_000);
  await client.fetch(WEB);
  first.stop();
  await failsWith(client.fetch(WEB), "CA_CALL_FAILED", /UNAVAILABLE|DEADLINE/);
  await startCa(ca, (request) => issue(ca, request), Number(new URL(first.url).port));
  for (let attempt = 0; ; attempt++) {
    try {
      await client.fetch(WEB);
      return;
    } catch (error) {
      if (attempt > 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
});
