/** For tests: a certificate service on a real port, and our client of it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import {
  type handleUnaryCall,
  type Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
} from "@grpc/grpc-js";
import { makeIdentity } from "#common/model/identity.ts";
import { type TestAuthority, workloadTemplate } from "#common/tls/authority-fixture.ts";
import { publicKeyOfCsr } from "#common/tls/parse-csr.ts";
import {
  type CertificateTemplate,
  certificatePem,
  writeCertificate,
} from "#common/tls/write-certificate.ts";
import {
  type CertificateRequest,
  type CertificateResponse,
  IstioCertificateService,
} from "#common/xds/citadel-rpc.ts";
import { ControlPlaneChannel } from "#common/xds/control-plane-channel.ts";
import { CaClient } from "./ca-client.ts";

export const WEB = makeIdentity("cluster.local", "shop", "web");
const cleanUps: (() => void)[] = [];
after(() => {
  for (const cleanUp of cleanUps) cleanUp();
});

/** Answers a request, or throws an error with a gRPC status code; undefined never answers. */
export type Answer = (request: CertificateRequest) => CertificateResponse | undefined;

export interface Ca {
  readonly url: string;
  readonly requests: { request: CertificateRequest; metadata: Metadata }[];
  readonly stop: () => void;
}

export async function startCa(serverCa: TestAuthority, answer: Answer, port = 0): Promise<Ca> {
  const { certChainPem, privateKeyPem } = serverCa.workload({
    subjectAltNames: [{ type: "dns", value: "istiod.istio-system.svc" }],
  });
  const requests: Ca["requests"] = [];
  const server = new Server();
  const createCertificate: handleUnaryCall<CertificateRequest, CertificateResponse> = (
    { request, metadata },
    callback,
  ) => {
    requests.push({ request, metadata });
    try {
      const response = answer(request);
      if (response !== undefined) callback(null, response);
    } catch (error) {
      callback(error as ServiceError);
    }
  };
  server.addService(IstioCertificateService, { createCertificate });
  const pair = { cert_chain: Buffer.from(certChainPem), private_key: Buffer.from(privateKeyPem) };
  const bound = await new Promise<number>((resolve, reject) => {
    const tls = ServerCredentials.createSsl(null, [pair], false);
    server.bindAsync(`127.0.0.1:${port}`, tls, (error, used) =>
      error ? reject(error) : resolve(used),
    );
  });
  const stop = () => server.forceShutdown();
  cleanUps.push(stop);
  return { url: `https://127.0.0.1:${bound}`, requests, stop };
}

/** A client as a proxy makes it, with root and token files of its own. */
export function clientOf(url: string, rootsPem: string, timeoutMs = 5_000) {
  const dir = mkdtempSync(join(tmpdir(), "ca-client-"));
  cleanUps.push(() => rmSync(dir, { recursive: true }));
  const rootCertFile = join(dir, "root-cert.pem");
  const tokenFile = join(dir, "istio-token");
  writeFileSync(rootCertFile, rootsPem);
  writeFileSync(tokenFile, "first.token.x\n");
  const serverName = "istiod.istio-system.svc";
  const clusterId = "Kubernetes";
  const channel = new ControlPlaneChannel({ url, rootCertFile, serverName, tokenFile, clusterId });
  cleanUps.push(() => channel.reset());
  return {
    client: new CaClient(channel, { ttlSeconds: 3_600, timeoutMs }),
    rootCertFile,
    tokenFile,
  };
}

export function issue(
  ca: TestAuthority,
  request: CertificateRequest,
  template: Partial<CertificateTemplate> = {},
): CertificateResponse {
  const subjectAltNames = [{ type: "uri", value: WEB.uri } as const];
  const wanted = { ...workloadTemplate(publicKeyOfCsr(request.csr)), subjectAltNames, ...template };
  const leaf = writeCertificate(wanted, ca.issuer);
  return { certChain: [leaf, ...ca.intermediates].map(certificatePem).concat(ca.rootsPem) };
}
