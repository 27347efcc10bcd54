/** Istio's certificate service as grpc-js wants it, for client and server, with plain messages. */

import { create, fromBinary, type JsonObject, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition } from "@grpc/grpc-js";
import * as wire from "./gen/istio/citadel_pb.js";

export interface CertificateRequest {
  /** PEM PKCS#10. */
  readonly csr: string;
  /** Seconds; what the caller wants, the CA may give less. */
  readonly validityDurationS: number;
  /** `ImpersonatedIdentity` (a SPIFFE URI) where a node proxy asks for one of its pods. */
  readonly metadata: JsonObject;
}

export interface CertificateResponse {
  /** The leaf, intermediates one per element, and last the bundle of roots; all PEM. */
  readonly certChain: readonly string[];
}

function serializeRequest(request: CertificateRequest): Buffer {
  const message = create(wire.IstioCertificateRequestSchema, {
    csr: request.csr,
    validityDuration: BigInt(Math.trunc(request.validityDurationS)),
    metadata: request.metadata,
  });
  return Buffer.from(toBinary(wire.IstioCertificateRequestSchema, message));
}

function parseRequest(bytes: Uint8Array): CertificateRequest {
  const message = fromBinary(wire.IstioCertificateRequestSchema, bytes);
  return {
    csr: message.csr,
    validityDurationS: Number(message.validityDuration),
    metadata: message.metadata ?? {},
  };
}

function serializeResponse(response: CertificateResponse): Buffer {
  const message = create(wire.IstioCertificateResponseSchema, {
    certChain: [...response.certChain],
  });
  return Buffer.from(toBinary(wire.IstioCertificateResponseSchema, message));
}

function parseResponse(bytes: Uint8Array): CertificateResponse {
  return { certChain: fromBinary(wire.IstioCertificateResponseSchema, bytes).certChain };
}

export const createCertificate: MethodDefinition<CertificateRequest, CertificateResponse> = {
  path: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
  requestStream: false,
  responseStream: false,
  requestSerialize: serializeRequest,
  requestDeserialize: parseRequest,
  responseSerialize: serializeResponse,
  responseDeserialize: parseResponse,
};

/** For `server.addService`. */
export const IstioCertificateService = { createCertificate };
