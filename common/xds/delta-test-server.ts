/**
 * A delta ADS server over real TLS for tests: it sends what the test says and keeps what it hears.
 */

import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { type Metadata, Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import {
  certificatePem,
  writeCertificate,
  writeSelfSignedCertificate,
} from "#common/tls/write-certificate.ts";
import {
  AggregatedDiscoveryService,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from "./discovery-rpc.ts";

type Call = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

export interface ServerIdentity {
  readonly rootPem: string;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** A certificate for a DNS name, and the root of its own that vouches for it. */
export function makeServerIdentity(dnsName: string): ServerIdentity {
  const rootKeys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const validity = {
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 3_600_000),
  };
  const root = writeSelfSignedCertificate(
    {
      ...validity,
      publicKey: rootKeys.publicKey,
      subject: { commonName: "test root" },
      subjectAltNames: [],
      keyPurposes: [],
      basicConstraints: { ca: true },
    },
    rootKeys.privateKey,
  );
  const leaf = writeCertificate(
    {
      ...validity,
      publicKey: keys.publicKey,
      subject: {},
      subjectAltNames: [{ type: "dns", value: dnsName }],
      keyPurposes: ["serverAuth"],
      basicConstraints: { ca: false },
    },
    { certificate: root, privateKey: rootKeys.privateKey },
  );
  return {
    rootPem: certificatePem(root),
    certificatePem: certificatePem(leaf),
    privateKeyPem: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

export interface Heard {
  readonly request: DeltaDiscoveryRequest;
  /** Of its stream. */
  readonly metadata: Metadata;
}

export class DiscoveryServer {
  readonly heard: Heard[] = [];
  readonly #server = new Server();
  readonly #calls = new Set<Call>();
  readonly #waiting = new Set<() => void>();
  port = 0;

  /** Starts on the port, 0 for any. */
  static async start(identity: ServerIdentity, port = 0): Promise<DiscoveryServer> {
    const server = new DiscoveryServer();
    await server.#listen(identity, port);
    return server;
  }

  /** Resolves with the first request from `from` on that satisfies the test. */
  async next(matches: (heard: Heard) => boolean, from = 0): Promise<Heard> {
    for (;;) {
      const found = this.heard.slice(from).find(matches);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  push(response: Partial<DeltaDiscoveryResponse> & { typeUrl: string; nonce: string }): void {
    for (const call of this.#calls) {
      call.write({ systemVersionInfo: "", resources: [], removedResources: [], ...response });
    }
  }

  /** Ends every stream as istiod does when a connection has reached its age. */
  endStreams(): void {
    for (const call of this.#calls) call.end();
  }

  /** Ends every stream with a gRPC status other than OK. */
  failStreams(code: number, details: string): void {
    for (const call of this.#calls) call.emit("error", { code, details });
  }

  /** As a killed process: every connection is cut. */
  kill(): void {
    this.#server.forceShutdown();
  }

  async #listen(identity: ServerIdentity, port: number): Promise<void> {
    const pair = {
      cert_chain: Buffer.from(identity.certificatePem),
      private_key: Buffer.from(identity.privateKeyPem),
    };
    const credentials = ServerCredentials.createSsl(null, [pair]);
    this.#server.addService(AggregatedDiscoveryService, {
      deltaAggregatedResources: (call: Call) => this.#serve(call),
    });
    this.port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
  }

  #serve(call: Call): void {
    this.#calls.add(call);
    call.on("data", (request: DeltaDiscoveryRequest) => {
      this.heard.push({ request, metadata: call.metadata });
      for (const resolve of this.#waiting) resolve();
      this.#waiting.clear();
    });
    void once(call, "end").then(
      () => call.end(),
      () => undefined,
    );
    call.on("close", () => this.#calls.delete(call));
    call.on("cancelled", () => this.#calls.delete(call));
  }
}
