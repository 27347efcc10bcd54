/** Envoy's external authorization service as grpc-js wants it, with plain messages. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { MethodDefinition } from "@grpc/grpc-js";
import * as wire from "./gen/envoy/external-auth_pb.js";

export interface CheckPeer {
  readonly address: { readonly ip: string; readonly port: number };
  /** A SPIFFE URI; "" where it is not known. */
  readonly principal: string;
}

export interface CheckRequest {
  readonly source: CheckPeer;
  readonly destination: CheckPeer;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** Absent where a connection is asked about whose bytes are not looked into. */
  readonly http?: {
    readonly id: string;
    readonly method: string;
    /** With pseudo-header fields; the values of one name as one. */
    readonly headers: Readonly<Record<string, string>>;
    readonly path: string;
    readonly host: string;
    readonly scheme: string;
    /** -1: not known. */
    readonly size: number;
    /** `HTTP/1.1`. */
    readonly protocol: string;
    readonly body?: Uint8Array;
  };
}

/**
 * What becomes of a header. Source: HeaderValueOption; `set` replaces, `add` keeps what there is.
 */
export interface HeaderChange {
  readonly name: string;
  readonly value: string;
  readonly how: "set" | "add" | "add-if-absent" | "set-if-present";
}

export type CheckResponse =
  | {
      readonly allowed: true;
      readonly requestHeaders: readonly HeaderChange[];
      readonly removedHeaders: readonly string[];
      readonly responseHeaders: readonly HeaderChange[];
    }
  | {
      readonly allowed: false;
      /** gRPC's. */
      readonly code: number;
      /** 0: not said. */
      readonly httpStatus: number;
      readonly headers: readonly HeaderChange[];
      readonly body: string;
    };

function serializeRequest(request: CheckRequest): Buffer {
  const message = create(wire.CheckRequestSchema, {
    attributes: {
      source: peerMessage(request.source),
      destination: peerMessage(request.destination),
      request: {
        time: timestampFromMs(request.timeMs),
        ...(request.http && { http: httpMessage(request.http) }),
      },
    },
  });
  return Buffer.from(toBinary(wire.CheckRequestSchema, message));
}

function httpMessage({
  body,
  size,
  headers,
  ...http
}: NonNullable<CheckRequest["http"]>): MessageInitShape<
  typeof wire.AttributeContext_HttpRequestSchema
> {
  return { ...http, headers: { ...headers }, size: BigInt(size), ...bodyFields(body) };
}

function peerMessage({
  address,
  principal,
}: CheckPeer): MessageInitShape<typeof wire.AttributeContext_PeerSchema> {
  return {
    address: { socketAddress: { address: address.ip, portValue: address.port } },
    principal,
  };
}

/** As text where it is one, else as bytes: a string field has to be UTF-8. */
function bodyFields(body: Uint8Array | undefined): { body?: string; rawBody?: Uint8Array } {
  if (body === undefined) return {};
  try {
    return { body: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body) };
  } catch {
    return { rawBody: body };
  }
}

function parseRequest(bytes: Uint8Array): CheckRequest {
  const { attributes } = fromBinary(wire.CheckRequestSchema, bytes);
  const http = attributes?.request?.http;
  const time = attributes?.request?.time;
  return {
    source: parsePeer(attributes?.source),
    destination: parsePeer(attributes?.destination),
    timeMs: time === undefined ? 0 : Number(time.seconds) * 1000 + Math.trunc(time.nanos / 1e6),
    ...(http && { http: parseHttp(http) }),
  };
}

function parseHttp(http: wire.AttributeContext_HttpRequest): NonNullable<CheckRequest["http"]> {
  const { id, method, headers, path, host, scheme, protocol, size, body, rawBody } = http;
  const sent = rawBody.length > 0 ? rawBody : Buffer.from(body);
  return {
    ...{ id, method, headers, path, host, scheme, protocol, size: Number(size) },
    ...(sent.length > 0 && { body: sent }),
  };
}

function parsePeer(peer: wire.AttributeContext_Peer | undefined): CheckPeer {
  const socket = peer?.address?.socketAddress;
  const address = { ip: socket?.address ?? "", port: socket?.portValue ?? 0 };
  return { address, principal: peer?.principal ?? "" };
}

function serializeResponse(response: CheckResponse): Buffer {
  const message = response.allowed
    ? create(wire.CheckResponseSchema, {
        status: { code: 0 },
        httpResponse: {
          case: "okResponse",
          value: {
            headers: response.requestHeaders.map(changeMessage),
            headersToRemove: [...response.removedHeaders],
            responseHeadersToAdd: response.responseHeaders.map(changeMessage),
          },
        },
      })
    : create(wire.CheckResponseSchema, {
        status: { code: response.code },
        httpResponse: {
          case: "deniedResponse",
          value: {
            status: { code: response.httpStatus },
            headers: response.headers.map(changeMessage),
            body: response.body,
          },
        },
      });
  return Buffer.from(toBinary(wire.CheckResponseSchema, message));
}

/** A response without a status is one of 0, which is OK: as the wire has it. */
function parseResponse(bytes: Uint8Array): CheckResponse {
  const { status, httpResponse } = fromBinary(wire.CheckResponseSchema, bytes);
  const code = status?.code ?? 0;
  if (code === 0) {
    const ok = httpResponse.case === "okResponse" ? httpResponse.value : undefined;
    return {
      allowed: true,
      requestHeaders: (ok?.headers ?? []).map((option) => parseChange(option, "set")),
      removedHeaders: (ok?.headersToRemove ?? []).map((name) => name.toLowerCase()),
      responseHeaders: (ok?.responseHeadersToAdd ?? []).map((option) => parseChange(option, "add")),
    };
  }
  const denied = httpResponse.case === "deniedResponse" ? httpResponse.value : undefined;
  return {
    allowed: false,
    code,
    httpStatus: denied?.status?.code ?? 0,
    headers: (denied?.headers ?? []).map((option) => parseChange(option, "set")),
    body: denied?.body ?? "",
  };
}

/** By their numbers in HeaderAppendAction, where the older `append` does not say. */
const ACTIONS = ["add", "add-if-absent", "set", "set-if-present"] as const;

/**
 * Where neither says: `otherwise`. Number 0 says nothing. Source: Envoy's ext_authz gRPC client,
 * which replaces in requests and adds to responses.
 */
function parseChange(option: wire.HeaderValueOption, otherwise: HeaderChange["how"]): HeaderChange {
  const { key = "", value = "", rawValue } = option.header ?? {};
  const name = key.toLowerCase();
  const text = rawValue?.length ? Buffer.from(rawValue).toString("latin1") : bytesOf(value);
  if (option.append !== undefined) return { name, value: text, how: option.append ? "add" : "set" };
  const action = option.appendAction === 0 ? otherwise : ACTIONS[option.appendAction];
  return { name, value: text, how: action ?? otherwise };
}

/** Headers hold one character for each byte. */
function bytesOf(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

function changeMessage({
  name,
  value,
  how,
}: HeaderChange): MessageInitShape<typeof wire.HeaderValueOptionSchema> {
  const header = { key: name, value: Buffer.from(value, "latin1").toString("utf8") };
  if (how === "add") return { header, append: true };
  return { header, appendAction: ACTIONS.indexOf(how) };
}

export const check: MethodDefinition<CheckRequest, CheckResponse> = {
  path: "/envoy.service.auth.v3.Authorization/Check",
  requestStream: false,
  responseStream: false,
  requestSerialize: serializeRequest,
  requestDeserialize: parseRequest,
  responseSerialize: serializeResponse,
  responseDeserialize: parseResponse,
};

/** For `server.addService`. */
export const AuthorizationService = { check };
