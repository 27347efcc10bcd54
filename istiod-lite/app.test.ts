import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { makeIdentity } from "#common/model/identity.ts";
import { createSigningRequest } from "#common/tls/csr.ts";
import {
  publicJwks,
  type ServiceAccountClaims,
  signServiceAccountToken,
} from "#common/tls/service-account-token.ts";
import { report } from "#common/xds/capture-rpc.ts";
import { type CertificateResponse, createCertificate } from "#common/xds/citadel-rpc.ts";
import { decodeAddress } from "#common/xds/decode-workload.ts";
import { CAPTURED_POD_TYPE } from "#common/xds/type-urls.ts";
import { Istiod } from "./app.ts";
import { makeNamespace, makePod, makeService } from "./registry/registry-fixtures.ts";
import { names, RawStream } from "./xds/ads-test-server.ts";

const { privateKey: tokenKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ztunnel = {
  namespace: "istio-system",
  serviceAccount: "ztunnel",
  podName: "ztunnel-1",
  podUid: "uid-of-istio-system-ztunnel-1",
  node: "node-1",
};

const OPTIONS = {
  listen: "127.0.0.1",
  xdsPort: 0,
  debugPort: 0,
  clusterId: "Kubernetes",
  trustDomain: "cluster.local",
  trustDomainAliases: [],
  rootNamespace: "istio-system",
  hbone: true,
  dnsCapture: true,
  revision: "default",
  waypointUnavailable: "fail-closed",
  enforceWaypoints: false,
  outboundTraffic: "allow-any",
  nodeTaint: "",
  podNamespace: "istio-system",
  logLevel: "error",
  logFormat: "text",
} as const;

let dir: string;
let istiod: Istiod;
let client: Client;

async function put(object: KubernetesObject): Promise<void> {
  const { namespace = "_", name } = object.metadata;
  const path = join(dir, "state/objects", object.kind, namespace, `${name}.json`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, JSON.stringify(object));
}

async function tokenOf(claims: ServiceAccountClaims): Promise<Metadata> {
  const metadata = new Metadata();
  const token = await signServiceAccountToken(tokenKey, claims, 600);
  metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

before(async () => {
  dir = await mkdtemp(join(tmpdir(), "istiod-"));
  await writeFile(join(dir, "jwks.json"), JSON.stringify(await publicJwks(tokenKey)));
  await put(makeNamespace("shop", { "istio.io/dataplane-mode": "ambient" }));
  await put(makePod());
  await put(
    makePod({
      namespace: "istio-system",
      name: "ztunnel-1",
      ips: ["192.168.0.1"],
      spec: { hostNetwork: true, serviceAccountName: "ztunnel" },
    }),
  );
  istiod = await Istiod.start(
    {
      ...OPTIONS,
      source: `folder:${join(dir, "state/objects")}`,
      caDir: join(dir, "ca"),
      tokenJwks: join(dir, "jwks.json"),
    },
    { write: () => undefined, unreadBytes: () => 0 },
  );
  const root = await readFile(join(dir, "ca/root-cert.pem"));
  client = new Client(`127.0.0.1:${istiod.ports.xds}`, credentials.createSsl(root), {
    "grpc.ssl_target_name_override": "istiod.istio-system.svc",
  });
});

after(async () => {
  client.close();
  await istiod.close();
  await rm(dir, { recursive: true });
});

describe("istiod-lite", () => {
  it("serves the folder's mesh over TLS, and the annotation that a report caused", async () => {
    const stream = new RawStream(client, await tokenOf(ztunnel));
    stream.send();
    assert.ok(names(await stream.nextAcked()).includes("Kubernetes//Pod/shop/web-1"));
    stream.send({ typeUrl: CAPTURED_POD_TYPE });
    assert.deepEqual(names(await stream.nextAcked()), ["uid-of-shop-web-1"]);

    const { uid = "", name, namespace = "" } = makePod().metadata;
    const pods = [{ uid, name, namespace, state: "enabled" as const, message: "" }];
    const { path, requestSerialize, responseDeserialize } = report;
    const request = { node: "node-1", pods };
    const metadata = await tokenOf(ztunnel);
    await new Promise<void>((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        (error) => (error === null ? resolve() : reject(error)),
      );
    });
    const [changed] = (await stream.nextAcked()).resources;
    const address = decodeAddress(changed?.value ?? new Uint8Array());
    assert.equal(address.kind === "workload" && address.workload.tunnelProtocol, "hbone");
    stream.cancel();
  });

  const certificate = async (caller: ServiceAccountClaims, identity: string) => {
    const { csrPem } = createSigningRequest(makeIdentity("cluster.local", "x", "y"));
    const { path, requestSerialize, responseDeserialize } = createCertificate;
    const metadata = await tokenOf(caller);
    const request = {
      csr: csrPem,
      validityDurationS: 3_600,
      metadata: { ImpersonatedIdentity: identity },
    };
    return new Promise<CertificateResponse | status>((resolve) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        (error: ServiceError | null, response?: CertificateResponse) =>
          resolve(response ?? error?.code ?? status.UNKNOWN),
      );
    });
  };

  it("signs for the pods of the caller's node, and for nobody else's", async () => {
    const web = "spiffe://cluster.local/ns/shop/sa/web";
    const issued = await certificate(ztunnel, web);
    assert.ok(typeof issued === "object" && issued.certChain.length === 2);
    const refused: [ServiceAccountClaims, string][] = [
      [ztunnel, "spiffe://cluster.local/ns/shop/sa/other"],
      [ztunnel, "spiffe://elsewhere/ns/shop/sa/web"],
      [{ ...ztunnel, node: "node-2" }, web],
      [{ ...ztunnel, podUid: "a pod that is gone" }, web],
      [{ ...ztunnel, podName: "web-1", namespace: "shop" }, web],
    ];
    for (const [caller, identity] of refused) {
      assert.equal(await certificate(caller, identity), status.UNAUTHENTICATED, identity);
    }
  });

  it("shows readiness, metrics, proxies and resources on its debug port", async () => {
    const base = `http://127.0.0.1:${istiod.ports.debug}`;
    const get = async (path: string) => (await fetch(`${base}${path}`)).text();
    assert.equal(await get("/healthz/ready"), "ready\n");
    assert.match(await get("/metrics"), /ambient_xds_resources\{type="wds"\} 2/);
    const stream = new RawStream(client, await tokenOf(ztunnel));
    stream.send();
    await stream.nextAcked();
    const proxyNow = async () => JSON.parse(await get("/debug/syncz"))[0];
    let proxy = await proxyNow();
    assert.equal(proxy.node, "node-1");
    // The acknowledgement is on its way.
    for (let i = 0; i < 1_000 && !proxy.types[0].synced; i++) {
      await sleep(10);
      proxy = await proxyNow();
    }
    assert.equal(proxy.types[0].synced, true);
    assert.match(await get("/debug/registryz"), /Kubernetes\/\/Pod\/shop\/web-1/);
    stream.cancel();
  });

  it("says of a route what became of it, and says another thing when its grant is gone", async () => {
    const api = "gateway.networking.k8s.io" as const;
    const grant = { name: "g", namespace: "other" };
    const parentRef = { group: "", kind: "Service", name: "web" };
    const backendRefs = [{ name: "far", namespace: "other", port: 80 }];
    await put(makeNamespace("other"));
    await put(makeService("web", { ports: [{ name: "http", port: 80 }] }));
    await put(makeService("far", { ports: [{ port: 80 }] }, { namespace: "other" }));
    await put({
      apiVersion: `${api}/v1`,
      kind: "ReferenceGrant",
      metadata: grant,
      spec: {
        from: [{ group: api, kind: "HTTPRoute", namespace: "shop" }],
        to: [{ group: "", kind: "Service" }],
      },
    });
    await put({
      apiVersion: `${api}/v1`,
      kind: "HTTPRoute",
      metadata: { name: "r", namespace: "shop" },
      spec: { parentRefs: [parentRef], rules: [{ backendRefs }] },
    });
    await said("r", "ResolvedRefs");
    await rm(join(dir, "state/objects/ReferenceGrant/other/g.json"));
    await said("r", "RefNotPermitted");
  });

  /** Waits until the reason stands in the status of the route of namespace shop. */
  const said = async (name: string, reason: string) => {
    const path = join(dir, "state/overlay/HTTPRoute/shop", `${name}.json`);
    for (let tries = 0; tries < 300; tries++) {
      const text = await readFile(path, "utf8").catch(() => "");
      if (text.includes(`"reason": "${reason}"`)) return;
      await sleep(100);
    }
    assert.fail(`${name} is never said to be ${reason}`);
  };

  it("ends streams when it is stopped, and leaves no port open", async () => {
    const stream = new RawStream(client, await tokenOf(ztunnel));
    stream.send();
    await stream.nextAcked();
    const { debug } = istiod.ports;
    await istiod.close();
    assert.equal((await stream.end()).code, status.UNAVAILABLE);
    await assert.rejects(fetch(`http://127.0.0.1:${debug}/healthz/ready`));
  });
});
