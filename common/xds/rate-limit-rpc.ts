/** Envoy's rate limit service as grpc-js wants it, with plain messages. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition } from "@grpc/grpc-js";
import * as wire from "./gen/envoy/rate-limit_pb.js";

export interface RateLimitRequest {
  readonly domain: string;
  /** What is counted apart by, outermost first. */
  readonly entries: readonly { readonly key: string; readonly value: string }[];
}

/** How it stands with the limit that is nearest to its end; absent where the service says none. */
export interface LimitState {
  readonly requestsPerUnit: number;
  /** Seconds; 0 where the unit is not known. */
  readonly unitSeconds: number;
  readonly remaining: number;
  readonly resetSeconds: number;
}

export interface RateLimitResponse {
  readonly overLimit: boolean;
  readonly state?: LimitState;
  readonly responseHeaders: readonly (readonly [name: string, value: string])[];
  readonly requestHeaders: readonly (readonly [name: string, value: string])[];
  /** "": none. */
  readonly body: string;
}

/** Seconds by the wire's numbers; a month and a year as Envoy's own service counts them. */
const UNIT_SECONDS = [0, 1, 60, 3_600, 86_400, 30 * 86_400, 365 * 86_400];

function serializeRequest({ domain, entries }: RateLimitRequest): Buffer {
  const descriptors = [{ entries: entries.map((entry) => ({ ...entry })) }];
  const message = create(wire.RateLimitRequestSchema, { domain, descriptors, hitsAddend: 1 });
  return Buffer.from(toBinary(wire.RateLimitRequestSchema, message));
}

function parseRequest(bytes: Uint8Array): RateLimitRequest {
  const { domain, descriptors } = fromBinary(wire.RateLimitRequestSchema, bytes);
  const [first] = descriptors;
  return { domain, entries: (first?.entries ?? []).map(({ key, value }) => ({ key, value })) };
}

function serializeResponse(response: RateLimitResponse): Buffer {
  const { state, overLimit } = response;
  const code = overLimit ? wire.RateLimitResponse_Code.OVER_LIMIT : wire.RateLimitResponse_Code.OK;
  const message = create(wire.RateLimitResponseSchema, {
    overallCode: code,
    statuses: state === undefined ? [] : [statusMessage(state, code)],
    responseHeadersToAdd: response.responseHeaders.map(headerMessage),
    requestHeadersToAdd: response.requestHeaders.map(headerMessage),
    rawBody: Buffer.from(response.body),
  });
  return Buffer.from(toBinary(wire.RateLimitResponseSchema, message));
}

function statusMessage(
  { requestsPerUnit, unitSeconds, remaining, resetSeconds }: LimitState,
  code: wire.RateLimitResponse_Code,
): MessageInitShape<typeof wire.RateLimitResponse_DescriptorStatusSchema> {
  const unit = Math.max(0, UNIT_SECONDS.indexOf(unitSeconds));
  return {
    code,
    currentLimit: { requestsPerUnit, unit },
    limitRemaining: remaining,
    durationUntilReset: { seconds: BigInt(resetSeconds) },
  };
}

/** Throws where the service does not say whether the request is over the limit. */
function parseResponse(bytes: Uint8Array): RateLimitResponse {
  const response = fromBinary(wire.RateLimitResponseSchema, bytes);
  const { OK, OVER_LIMIT } = wire.RateLimitResponse_Code;
  const { overallCode } = response;
  if (overallCode !== OK && overallCode !== OVER_LIMIT) {
    throw new Error(`overall_code is ${overallCode}, neither OK nor OVER_LIMIT`);
  }
  const states = response.statuses.flatMap(parseState);
  const [state] = states.sort((a, b) => a.remaining - b.remaining);
  return {
    overLimit: overallCode === OVER_LIMIT,
    ...(state && { state }),
    responseHeaders: response.responseHeadersToAdd.map(parseHeader),
    requestHeaders: response.requestHeadersToAdd.map(parseHeader),
    body: Buffer.from(response.rawBody).toString("utf8"),
  };
}

function parseState(status: wire.RateLimitResponse_DescriptorStatus): LimitState[] {
  const { currentLimit, limitRemaining, durationUntilReset } = status;
  if (currentLimit === undefined) return [];
  return [
    {
      requestsPerUnit: currentLimit.requestsPerUnit,
      unitSeconds: UNIT_SECONDS[currentLimit.unit] ?? 0,
      remaining: limitRemaining,
      resetSeconds: Number(durationUntilReset?.seconds ?? 0n),
    },
  ];
}

function parseHeader({ key, value, rawValue }: wire.HeaderValue): readonly [string, string] {
  const bytes = rawValue.length > 0 ? Buffer.from(rawValue) : Buffer.from(value, "utf8");
  return [key.toLowerCase(), bytes.toString("latin1")];
}

function headerMessage([key, value]: readonly [string, string]): { key: string; value: string } {
  return { key, value };
}

export const shouldRateLimit: MethodDefinition<RateLimitRequest, RateLimitResponse> = {
  path: "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit",
  requestStream: false,
  responseStream: false,
  requestSerialize: serializeRequest,
  requestDeserialize: parseRequest,
  responseSerialize: serializeResponse,
  responseDeserialize: parseResponse,
};

/** For `server.addService`. */
export const RateLimitService = { shouldRateLimit };
