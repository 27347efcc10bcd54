/**
 * Istio's `CreateCertificate`: proves the caller by its token, decides which identity the
 * certificate is for, and signs the key of the request. Nothing else of the request counts.
 * Refusals say Istio's few words on the wire; the reason is in our log (Istio
 * security/pkg/server/ca/server.go).
 */
import { type handleUnaryCall, type Metadata, status } from "@grpc/grpc-js";
import { type Identity, makeIdentity, parseIdentity } from "#common/model/identity.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { publicKeyOfCsr } from "#common/tls/parse-csr.ts";
import type { CertificateRequest, CertificateResponse } from "#common/xds/citadel-rpc.ts";
import { WORKLOAD_CERTIFICATE_TTL_S } from "../limits.ts";
import { RefusalLog } from "../refusal-log.ts";
import { authenticate } from "./authenticate.ts";
import type { Caller } from "./caller.ts";
import { CallerRate } from "./caller-rate.ts";
import type { CertificateAuthority } from "./certificate-authority.ts";
import type { TokenReviewer } from "./token-review.ts";

/** Where identities run, as the registry knows it. */
export interface NodeIdentities {
  /** Whether a pod of this identity (trust domain included) runs on the node now. */
  runsOnNode(identity: Identity, node: string): boolean;
}

export interface CreateCertificateDeps {
  readonly authority: Pick<CertificateAuthority, "issueWorkload">;
  readonly tokens: TokenReviewer;
  readonly nodeIdentities: NodeIdentities;
  readonly logger: Logger;
  readonly trustDomain: string;
  /** The only account that may ask for identities of others, e.g. istio-system/ztunnel. */
  readonly isNodeProxy: (caller: Caller) => boolean;
  /** Milliseconds since the epoch; default Date.now. */
  readonly now?: () => number;
}

export interface CreateCertificateService {
  readonly createCertificate: handleUnaryCall<CertificateRequest, CertificateResponse>;
}

/** For `server.addService(IstioCertificateService, …)`. */
export function createCertificateService(deps: CreateCertificateDeps): CreateCertificateService {
  const rate = new CallerRate(deps.now);
  const refusals = new RefusalLog(deps.logger, "certificate refused");
  return {
    createCertificate: (call, callback) => {
      answer(deps, rate, call.metadata, call.request).then(
        (response) => callback(null, response),
        (error: unknown) => {
          const refusal = error instanceof Refusal ? error : internal(error);
          refusals.warn({ peer: call.getPeer(), why: refusal.message });
          callback({ code: refusal.grpcStatus, details: refusal.wireMessage });
        },
      );
    },
  };
}

/** A refusal with two texts: `message` for our log, `wireMessage` for whoever asked. */
class Refusal extends MeshError {
  readonly grpcStatus: status;
  readonly wireMessage: string;

  constructor(grpcStatus: status, wireMessage: string, why: string, cause?: unknown) {
    super("CERTIFICATE_REFUSED", why, { cause });
    this.grpcStatus = grpcStatus;
    this.wireMessage = wireMessage;
  }
}

async function answer(
  deps: CreateCertificateDeps,
  rate: CallerRate,
  metadata: Metadata,
  request: CertificateRequest,
): Promise<CertificateResponse> {
  const { caller, refusal } = await authenticate(deps.tokens, metadata);
  if (refusal !== undefined) throw new Refusal(refusal.code, refusal.details, refusal.why);
  const name = `${caller.namespace}/${caller.serviceAccount}/${caller.podUid ?? ""}`;
  if (!rate.take(name)) {
    const why = `${describeCaller(caller)} asks for certificates too often`;
    throw new Refusal(status.RESOURCE_EXHAUSTED, "too many certificate requests", why);
  }
  const identity = identityToSign(deps, caller, request);
  const ttlSeconds = cappedTtl(request.validityDurationS);
  const issued = sign(deps.authority, caller, identity, request.csr, ttlSeconds);
  deps.logger.debug("certificate issued", {
    identity: identity.uri,
    caller: describeCaller(caller),
    notAfter: new Date(issued.notAfter).toISOString(),
  });
  return { certChain: [issued.leafPem, ...issued.intermediatesPem, issued.rootsPem] };
}

/** The caller's own identity, or the one it asks for on behalf of a pod of its node. */
function identityToSign(
  deps: CreateCertificateDeps,
  caller: Caller,
  request: CertificateRequest,
): Identity {
  const wanted = request.metadata.ImpersonatedIdentity;
  if (wanted === undefined || wanted === "") {
    return makeIdentity(deps.trustDomain, caller.namespace, caller.serviceAccount);
  }
  const identity = typeof wanted === "string" ? parseIdentity(wanted) : undefined;
  const why = identity ? whyNotImpersonate(deps, caller, identity) : "it is no SPIFFE identity";
  if (identity === undefined || why !== undefined) {
    const shown = JSON.stringify(wanted).slice(0, 300);
    throw new Refusal(
      status.UNAUTHENTICATED,
      "request impersonation authentication failure",
      `${describeCaller(caller)} may not have ${shown}: ${why}`,
    );
  }
  return identity;
}

function whyNotImpersonate(
  deps: CreateCertificateDeps,
  caller: Caller,
  identity: Identity,
): string | undefined {
  if (!deps.isNodeProxy(caller)) return "the caller is not a node proxy";
  if (caller.node === undefined) return "the caller's token does not name its node";
  if (identity.trustDomain !== deps.trustDomain) return `our trust domain is ${deps.trustDomain}`;
  if (!deps.nodeIdentities.runsOnNode(identity, caller.node)) {
    return `no pod of that identity runs on ${caller.node}`;
  }
  return undefined;
}

/** Zero, negative and absurd lifetimes mean the default; it is also the longest. */
function cappedTtl(askedSeconds: number): number {
  if (!(askedSeconds > 0)) return WORKLOAD_CERTIFICATE_TTL_S;
  return Math.min(askedSeconds, WORKLOAD_CERTIFICATE_TTL_S);
}

function sign(
  authority: CreateCertificateDeps["authority"],
  caller: Caller,
  identity: Identity,
  csrPem: string,
  ttlSeconds: number,
): ReturnType<CertificateAuthority["issueWorkload"]> {
  let publicKey: ReturnType<typeof publicKeyOfCsr>;
  try {
    publicKey = publicKeyOfCsr(csrPem);
  } catch (error) {
    const why = describeError(error);
    const log = `${describeCaller(caller)}: ${why}`;
    throw new Refusal(status.INVALID_ARGUMENT, `CSR signing error (${why})`, log, error);
  }
  return authority.issueWorkload(publicKey, identity, ttlSeconds);
}

function internal(error: unknown): Refusal {
  return new Refusal(
    status.INTERNAL,
    "certificate could not be issued",
    describeError(error),
    error,
  );
}

function describeCaller(caller: Caller): string {
  const { namespace, serviceAccount, podName = "?", node = "?" } = caller;
  return `${namespace}/${serviceAccount} (pod ${podName} on node ${node})`;
}
