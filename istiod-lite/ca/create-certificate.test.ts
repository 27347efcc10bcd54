import assert from "node:assert/strict";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { type Identity, makeIdentity } from "#common/model/identity.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { p256, TestAuthority } from "#common/tls/authority-fixture.ts";
import { findPath } from "#common/tls/certificate-path.ts";
import { createSigningRequest } from "#common/tls/csr.ts";
import { MAX_CSR_BYTES } from "#common/tls/limits.ts";
import { readPemCertificates, toPem } from "#common/tls/pem.ts";
import { publicJwks, signServiceAccountToken } from "#common/tls/service-account-token.ts";
import { spiffeIdentityOf } from "#common/tls/spiffe-san.ts";
import {
  type CertificateRequest,
  type CertificateResponse,
  createCertificate,
  IstioCertificateService,
} from "#common/xds/citadel-rpc.ts";
import { CERTIFICATE_BURST_PER_CALLER, WORKLOAD_CERTIFICATE_TTL_S } from "../limits.ts";
import { CertificateAuthority } from "./certificate-authority.ts";
import { type CreateCertificateService, createCertificateService } from "./create-certificate.ts";
import { JwksFile } from "./jwks-file.ts";
import { JwksTokenReviewer } from "./token-review.ts";

const TD = "cluster.local";
const WEB = makeIdentity(TD, "shop", "web");
const DB = makeIdentity(TD, "shop", "db");
const ZTUNNEL = {
  namespace: "istio-system",
  serviceAccount: "ztunnel",
  podName: "z1",
  podUid: "1",
};
const WAYPOINT = { namespace: "shop", serviceAccount: "waypoint", podName: "w1", podUid: "2" };

const cleanUps: (() => void)[] = [];
after(() => {
  for (const cleanUp of cleanUps) cleanUp();
});

/** A CA on a real port; `web` runs on node1, `db` on node2. */
async function setUp(ca = TestAuthority.root().intermediate()) {
  const dir = mkdtempSync(join(tmpdir(), "create-certificate-"));
  const tokenKey = p256().privateKey;
  const jwks = join(dir, "jwks.json");
  writeFileSync(jwks, JSON.stringify(await publicJwks(tokenKey)));
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const logger = createLogger({ level: "info", format: "text", write });
  const { issuer, intermediates, rootsPem } = ca;
  const roots = readPemCertificates(rootsPem);
  const authority = new CertificateAuthority({ issuer, intermediates, roots });
  const service = createCertificateService({
    authority,
    tokens: new JwksTokenReviewer(new JwksFile(jwks, logger)),
    nodeIdentities: {
      runsOnNode: ({ uri }, node) => uri === WEB.uri && node === "node1",
    },
    logger,
    trustDomain: TD,
    isNodeProxy: (caller) =>
      caller.namespace === "istio-system" && caller.serviceAccount === "ztunnel",
  });
  const { server, port } = await serve(authority, service);
  const client = new Client(`localhost:${port}`, credentials.createSsl(Buffer.from(rootsPem)));
  cleanUps.push(() => {
    client.close();
    server.forceShutdown();
    rmSync(dir, { recursive: true });
  });
  const token = (claims: object, node = "node1") =>
    signServiceAccountToken(tokenKey, { ...ZTUNNEL, node, ...claims }, 3600);
  const call = (request: Partial<CertificateRequest>, bearer?: string) => {
    const metadata = new Metadata();
    if (bearer !== undefined) metadata.set("authorization", `Bearer ${bearer}`);
    return callCreateCertificate(client, request, metadata);
  };
  return { call, token, lines, roots };
}

async function serve(authority: CertificateAuthority, service: CreateCertificateService) {
  const { certChainPem, privateKeyPem } = authority.issueServer(["localhost"]);
  const pair = { cert_chain: Buffer.from(certChainPem), private_key: Buffer.from(privateKeyPem) };
  const server = new Server();
  server.addService(IstioCertificateService, { ...service });
  const port = await new Promise<number>((resolve, reject) => {
    const tls = ServerCredentials.createSsl(null, [pair], false);
    server.bindAsync("localhost:0", tls, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { server, port };
}

type Answer = { ok: true; chain: readonly string[] } | { ok: false; error: ServiceError };

function callCreateCertificate(
  client: Client,
  request: Partial<CertificateRequest>,
  metadata: Metadata,
): Promise<Answer> {
  const { csrPem } = createSigningRequest(WEB);
  const whole = { csr: csrPem, validityDurationS: 86_400, metadata: {}, ...request };
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      createCertificate.path,
      createCertificate.requestSerialize,
      createCertificate.responseDeserialize,
      whole,
      metadata,
      (error: ServiceError | null, response?: CertificateResponse) =>
        resolve(error ? { ok: false, error } : { ok: true, chain: response?.certChain ?? [] }),
    );
  });
}

function leafOf(answer: Answer): X509Certificate {
  assert.ok(answer.ok, answer.ok ? "" : answer.error.message);
  return new X509Certificate(answer.chain[0] ?? "");
}

function refusedWith(answer: Answer, code: status, details: RegExp): void {
  assert.ok(!answer.ok, "should have been refused");
  assert.equal(answer.error.code, code);
  assert.match(answer.error.details, details);
}

const IMPERSONATION = /^request impersonation authentication failure$/;

function impersonating(identity: Identity | string): Partial<CertificateRequest> {
  const uri = typeof identity === "string" ? identity : identity.uri;
  return { metadata: { ImpersonatedIdentity: uri } };
}

test("a node's ztunnel gets a certificate for an identity that runs on its node", async () => {
  const { call, token, roots } = await setUp();
  const { csrPem, publicKey } = createSigningRequest(WEB);
  const answer = await call({ csr: csrPem, ...impersonating(WEB) }, await token({}));
  const leaf = leafOf(answer);
  assert.equal(spiffeIdentityOf(leaf.raw).uri, WEB.uri);
  assert.ok(leaf.publicKey.equals(publicKey));
  assert.ok(answer.ok);
  assert.equal(answer.chain.length, 3, "leaf, intermediate, roots");
  const [, intermediate = "", last = ""] = answer.chain;
  assert.equal(readPemCertificates(last)[0]?.fingerprint256, roots[0]?.fingerprint256);
  assert.ok(findPath(leaf, readPemCertificates(intermediate), roots, Date.now()).ok);
});

test("without impersonation everyone gets the identity of its own token", async () => {
  const { call, token } = await setUp();
  const waypoint = leafOf(await call({}, await token(WAYPOINT)));
  assert.equal(spiffeIdentityOf(waypoint.raw).uri, "spiffe://cluster.local/ns/shop/sa/waypoint");
  const ztunnel = leafOf(await call({ ...impersonating("") }, await token({})));
  assert.equal(spiffeIdentityOf(ztunnel.raw).serviceAccount, "ztunnel");
});

test("D4.66 names, subject and extensions of the request are ignored", async () => {
  const { call, token } = await setUp();
  const { csrPem } = createSigningRequest(makeIdentity(TD, "kube-system", "admin"));
  const leaf = leafOf(await call({ csr: csrPem, ...impersonating(WEB) }, await token({})));
  assert.equal(leaf.subjectAltName, `URI:${WEB.uri}`);
  assert.equal(leaf.subject ?? "", "");
  assert.equal(leaf.ca, false);
});

test("D4.66 a ztunnel gets nothing that does not run on its own node", async () => {
  const { call, token, lines } = await setUp();
  refusedWith(
    await call(impersonating(DB), await token({})),
    status.UNAUTHENTICATED,
    IMPERSONATION,
  );
  const elsewhere = await call(impersonating(WEB), await token({}, "node2"));
  refusedWith(elsewhere, status.UNAUTHENTICATED, IMPERSONATION);
  assert.match(lines.join(""), /no pod of that identity runs on node1/);
  assert.match(lines.join(""), /no pod of that identity runs on node2/);
});

test("the trust domain of an impersonated identity is compared", async () => {
  const { call, token, lines } = await setUp();
  const foreign = makeIdentity("evil.example", "shop", "web");
  const answer = await call(impersonating(foreign), await token({}));
  refusedWith(answer, status.UNAUTHENTICATED, IMPERSONATION);
  assert.match(lines.join(""), /our trust domain is cluster\.local/);
});

test("nobody but the node proxy's account may impersonate, not even its neighbours", async () => {
  const { call, token, lines } = await setUp();
  for (const account of [
    { namespace: "shop", serviceAccount: "ztunnel" },
    { namespace: "istio-system", serviceAccount: "waypoint" },
    { namespace: "shop", serviceAccount: "web" },
  ]) {
    const answer = await call(impersonating(WEB), await token(account));
    refusedWith(answer, status.UNAUTHENTICATED, IMPERSONATION);
  }
  assert.match(
    lines.join(""),
    /shop\/ztunnel \(pod z1 on node node1\) may not have .*not a node proxy/,
  );
});

test("an impersonated identity that is none never means the caller's own", async () => {
  const { call, token } = await setUp();
  const wrong = ["web", "spiffe://cluster.local/ns/shop/sa/web/x", `${WEB.uri}\0`, " "];
  for (const uri of wrong) {
    const answer = await call(impersonating(uri), await token({}));
    refusedWith(answer, status.UNAUTHENTICATED, IMPERSONATION);
  }
  for (const value of [5, true, null, [WEB.uri], { uri: WEB.uri }]) {
    const metadata = { ImpersonatedIdentity: value };
    const answer = await call({ metadata }, await token({}));
    refusedWith(answer, status.UNAUTHENTICATED, IMPERSONATION);
  }
});

test("callers that are not proven hear no more than that", async () => {
  const { call, token, lines } = await setUp();
  const foreign = await signServiceAccountToken(p256().privateKey, { ...ZTUNNEL, node: "n" }, 60);
  const otherAudience = await token({ audiences: ["kubernetes"] });
  for (const bearer of [undefined, foreign, otherAudience]) {
    const answer = await call(impersonating(WEB), bearer);
    refusedWith(answer, status.UNAUTHENTICATED, /^request authenticate failure$/);
  }
  assert.match(lines.join(""), /no authorization header/);
  assert.match(lines.join(""), /unexpected \\"aud\\" claim value"\n/);
});

test("requests with an unusable key are refused as such", async () => {
  const { call, token } = await setUp();
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const spki = toPem("CERTIFICATE REQUEST", rsa.publicKey.export({ format: "der", type: "spki" }));
  const huge = createSigningRequest(WEB).csrPem + "\n".repeat(MAX_CSR_BYTES);
  for (const csr of ["", "garbage", spki, huge]) {
    const answer = await call({ csr, ...impersonating(WEB) }, await token({}));
    refusedWith(answer, status.INVALID_ARGUMENT, /^CSR signing error/);
  }
});

test("lifetimes are capped at a day, and at the CA's own end", async () => {
  const { call, token } = await setUp();
  const lifeOf = async (validityDurationS: number): Promise<number> => {
    const leaf = leafOf(await call({ validityDurationS, ...impersonating(WEB) }, await token({})));
    return Math.round((leaf.validToDate.getTime() - Date.now()) / 1000);
  };
  const near = (actual: number, wanted: number) =>
    assert.ok(Math.abs(actual - wanted) < 5, `${actual}`);
  near(await lifeOf(600), 600);
  for (const absurd of [0, -5, 10 ** 9, Number.MAX_SAFE_INTEGER]) {
    near(await lifeOf(absurd), WORKLOAD_CERTIFICATE_TTL_S);
  }
  const short = TestAuthority.root().intermediate({ notAfter: new Date(Date.now() + 60_000) });
  const dying = await setUp(short);
  const answer = await dying.call(impersonating(WEB), await dying.token({}));
  near(Math.round((leafOf(answer).validToDate.getTime() - Date.now()) / 1000), 60);
});

test("one caller that asks without end keeps no other from its certificate", async () => {
  const { call, token } = await setUp();
  const [greedy, modest] = [await token({}), await token({ podUid: "other" })];
  const asks = Array.from({ length: CERTIFICATE_BURST_PER_CALLER + 100 }, () =>
    call({ csr: "not even a CSR", ...impersonating(WEB) }, greedy),
  );
  const codes = (await Promise.all(asks)).map((answer) => (answer.ok ? 0 : answer.error.code));
  assert.ok(codes.includes(status.RESOURCE_EXHAUSTED));
  leafOf(await call(impersonating(WEB), modest));
});
