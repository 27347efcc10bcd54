/** What a VirtualService does with requests, in the form in which a waypoint gets it. */
import { parseIstioDurationMs } from "#common/kubernetes/istio-duration.ts";
import type {
  IstioCors,
  IstioFault,
  IstioHttpRoute,
  IstioPercent,
  IstioRedirect,
  IstioRewrite,
} from "#common/kubernetes/istio-route-objects.ts";
import type { HttpRule } from "#common/model/waypoint/http-route.ts";
import { text } from "./http-matches.ts";
import type { Remarks } from "./remarks.ts";

/** Source: Istio's HTTPRedirect.redirect_code. */
const REDIRECT_STATUS = 301;
/** What a redirect's uri begins with where it replaces the match's prefix only. */
const PREFIX_COMMAND = "%PREFIX()%";

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

export function redirectOf(
  redirect: IstioRedirect,
  port: number,
): NonNullable<HttpRule["redirect"]> {
  const { uri = "", scheme = "", redirectCode = REDIRECT_STATUS } = redirect;
  const [, hostname = "", ownPort] = /^(.*?)(?::([0-9]+))?$/.exec(redirect.authority ?? "") ?? [];
  const given = redirect.port ?? (ownPort === undefined ? undefined : Number(ownPort));
  const derived = redirect.derivePort === "FROM_REQUEST_PORT" ? port : undefined;
  // Another host, or the protocol's own port where that is asked for, is without a port.
  const isDefault = hostname !== "" || redirect.derivePort === "FROM_PROTOCOL_DEFAULT";
  const to = given ?? derived ?? (isDefault ? DEFAULT_PORTS[scheme || "http"] : undefined);
  return {
    ...(scheme !== "" && { scheme }),
    ...(hostname !== "" && { hostname }),
    ...(to !== undefined && { port: to }),
    ...(uri !== "" && { path: redirectPath(uri) }),
    status: redirectCode,
  };
}

function redirectPath(uri: string) {
  if (!uri.startsWith(PREFIX_COMMAND)) return { kind: "full" as const, value: uri };
  return { kind: "prefix" as const, value: uri.slice(PREFIX_COMMAND.length) };
}

export function directResponseOf(
  { status, body = {} }: NonNullable<IstioHttpRoute["directResponse"]>,
  field: string,
  remarks: Remarks,
): NonNullable<HttpRule["directResponse"]> {
  const bytes = body.bytes === undefined ? undefined : Buffer.from(body.bytes, "base64");
  const decoded = bytes?.toString("utf8");
  if (bytes !== undefined && !Buffer.from(decoded ?? "", "utf8").equals(bytes)) {
    remarks.add(`${field}.body.bytes`, "is no UTF-8 text: the body is empty");
    return { status, body: "", headers: [] };
  }
  return { status, body: body.string ?? decoded ?? "", headers: [] };
}

export function rewriteOf(
  { uri = "", authority, uriRegexRewrite }: IstioRewrite,
  setAuthority: string | undefined,
): HttpRule["rewrite"] {
  const host = authority === undefined || authority === "" ? setAuthority : authority;
  const { match: pattern = "", rewrite: value = "" } = uriRegexRewrite ?? {};
  const byRegex = uriRegexRewrite && { kind: "regex" as const, value, pattern };
  const path = uri === "" ? byRegex : { kind: "prefix" as const, value: uri };
  if (host === undefined && path === undefined) return undefined;
  return { ...(host !== undefined && { authority: host }), ...(path && { path }) };
}

/** Source: google.rpc.Code. */
const GRPC_NUMBERS: ReadonlyMap<string, number> = new Map(
  [
    ...["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"],
    ...["ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"],
    ...["ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"],
    "UNAUTHENTICATED",
  ].map((name, number) => [name, number]),
);

/** A gRPC status is in the trailers of an answer that HTTP takes for a good one. */
const GRPC_HTTP_STATUS = 200;

export function faultOf(
  { delay, abort }: IstioFault,
  field: string,
  remarks: Remarks,
): HttpRule["fault"] {
  const { exponentialDelay } = delay ?? {};
  const { http2Error } = abort ?? {};
  remarks.unsupported({ exponentialDelay }, `${field}.delay`);
  remarks.unsupported({ http2Error }, `${field}.abort`);
  const milliseconds = durationMs(delay?.fixedDelay);
  const grpcStatus = GRPC_NUMBERS.get(abort?.grpcStatus ?? "");
  const status = abort?.httpStatus ?? (grpcStatus === undefined ? undefined : GRPC_HTTP_STATUS);
  for (const [name, share] of Object.entries({ delay, abort })) {
    if (share === undefined || percentOf(share.percentage, share.percent) > 0) continue;
    remarks.add(`${field}.${name}`, "is done to no request: give it a percentage");
  }
  const made = {
    ...(delay !== undefined &&
      milliseconds > 0 && {
        delay: { milliseconds, percent: percentOf(delay.percentage, delay.percent) },
      }),
    ...(abort !== undefined &&
      status !== undefined && {
        abort: {
          status,
          ...(grpcStatus !== undefined && { grpcStatus }),
          percent: percentOf(abort.percentage, abort.percent),
        },
      }),
  };
  return Object.keys(made).length === 0 ? undefined : made;
}

/** Without one, nothing is hit. Source: Istio's TranslateFault. */
export function percentOf(percentage: IstioPercent | undefined, percent: number | undefined) {
  return percentage === undefined ? (percent ?? 0) : (percentage.value ?? 0);
}

export function corsOf(
  cors: IstioCors,
  field: string,
  remarks: Remarks,
): NonNullable<HttpRule["cors"]> {
  const { allowOrigin = [], allowOrigins, maxAge, unmatchedPreflights } = cors;
  if (unmatchedPreflights === "IGNORE") {
    const message = "preflights that match no origin are forwarded, as in FORWARD";
    remarks.add(`${field}.unmatchedPreflights`, message);
  }
  const older = allowOrigin.map((value) => ({ kind: "exact" as const, value }));
  return {
    allowOrigins: allowOrigins === undefined ? older : allowOrigins.map(text),
    allowMethods: cors.allowMethods ?? [],
    allowHeaders: cors.allowHeaders ?? [],
    exposeHeaders: cors.exposeHeaders ?? [],
    ...(maxAge !== undefined && { maxAgeSeconds: Math.ceil(durationMs(maxAge) / 1_000) }),
    allowCredentials: cors.allowCredentials ?? false,
  };
}

/** 0 where it is not given. */
export function durationMs(duration: string | undefined): number {
  return duration === undefined ? 0 : (parseIstioDurationMs(duration) ?? 0);
}
