/** What an http route of a VirtualService does with requests. */
import type {
  IstioFault,
  IstioRedirect,
  IstioRetries,
  IstioRewrite,
} from "#common/kubernetes/istio-route-objects.ts";
import { notEmpty } from "#common/kubernetes/validate/formats.ts";
import {
  checkPercent,
  duration,
  headerName,
  longDuration,
  percentage,
  regex,
  stringMatch,
} from "#common/kubernetes/validate/istio-routes/texts.ts";
import {
  anything,
  integer,
  list,
  nullableBoolean,
  oneOf,
  port,
  type Report,
  type Schema,
  strictObject,
  text,
  unserved,
} from "#common/kubernetes/validate/schema.ts";

/** Statuses that an answer can have. */
const status = integer(200, 599);
/** Source: Istio's admission. */
const MAX_BODY_CHARACTERS = 1_048_576;

export const redirect: Schema = strictObject<IstioRedirect>(
  {
    uri: text(),
    authority: text(),
    port,
    derivePort: oneOf("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"),
    scheme: oneOf("http", "https"),
    redirectCode: integer(300, 399),
    prefixRewrite: unserved("error", "write uri, or an HTTPRoute with ReplacePrefixMatch"),
  },
  {
    check: (value, report) => {
      if (Object.keys(value).every((field) => field === "redirectCode")) {
        report("error", [], "leads back to where the request was", "give uri or authority");
      }
      if (value.port !== undefined && value.derivePort !== undefined) {
        report("error", ["derivePort"], "cannot be combined with port");
      }
    },
  },
);

export const directResponse: Schema = strictObject<{ body?: object }>(
  {
    status,
    body: strictObject<{ string?: string; bytes?: string }>(
      { string: text(tooLong), bytes: text(tooLong) },
      {
        check: ({ string, bytes }, report) => {
          if (string === undefined || bytes === undefined) return;
          report("error", ["bytes"], "cannot be combined with string");
        },
      },
    ),
  },
  { required: ["status"] },
);

function tooLong(value: string): { message: string } | undefined {
  if (value.length <= MAX_BODY_CHARACTERS) return undefined;
  return { message: `has ${value.length} characters, more than ${MAX_BODY_CHARACTERS}` };
}

export const rewrite: Schema = strictObject<IstioRewrite>(
  {
    uri: text(),
    authority: text(),
    uriRegexRewrite: strictObject(
      { match: text(regex), rewrite: text() },
      { required: ["match", "rewrite"] },
    ),
  },
  {
    check: (value, report) => {
      if (Object.keys(value).length === 0) report("error", [], "rewrites nothing");
      if (value.uri === undefined || value.uriRegexRewrite === undefined) return;
      report("error", ["uriRegexRewrite"], "cannot be combined with uri");
    },
  },
);

export const retries: Schema = strictObject<IstioRetries>(
  {
    attempts: integer(0),
    perTryTimeout: text(longDuration),
    retryOn: text(),
    retryRemoteLocalities: nullableBoolean,
    retryIgnorePreviousHosts: nullableBoolean,
    backoff: text(longDuration),
  },
  {
    check: ({ attempts = 0, ...others }, report) => {
      if (attempts > 0 || Object.keys(others).length === 0) return;
      report("error", ["attempts"], "is 0, which switches retries off", "write attempts: 2");
    },
  },
);

/** Source: google.rpc.Code, as gRPC writes them. */
export const GRPC_CODES = [
  ...(["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED"] as const),
  ...(["NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED"] as const),
  ...(["FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL"] as const),
  ...(["UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"] as const),
] as const;

export const fault: Schema = strictObject<IstioFault>(
  {
    delay: strictObject<NonNullable<IstioFault["delay"]>>(
      {
        fixedDelay: text(longDuration),
        exponentialDelay: text(longDuration),
        percentage,
        percent: anything,
      },
      { check: checkShare },
    ),
    abort: strictObject<NonNullable<IstioFault["abort"]>>(
      {
        httpStatus: status,
        grpcStatus: oneOf(...GRPC_CODES),
        http2Error: text(notEmpty),
        percentage,
        percent: anything,
      },
      { check: checkAbort },
    ),
  },
  {
    check: ({ delay, abort }, report) => {
      if (delay === undefined && abort === undefined) report("error", [], "is empty");
    },
  },
);

interface Share {
  readonly percentage?: object;
  readonly percent?: number;
}

function checkShare({ percentage: share, percent }: Share, report: Report): void {
  checkPercent(percent, ["percent"], report);
  if (share !== undefined || percent !== undefined) return;
  const hint = "write percentage: { value: 100 }";
  report("warning", [], "is done to no request, for it has no percentage", hint);
}

function checkAbort(abort: NonNullable<IstioFault["abort"]>, report: Report): void {
  checkShare(abort, report);
  const { httpStatus, grpcStatus, http2Error } = abort;
  const given = [httpStatus, grpcStatus, http2Error].filter((value) => value !== undefined);
  if (given.length !== 1) {
    report("error", [], "needs one of httpStatus and grpcStatus");
  }
}

export const corsPolicy: Schema = strictObject({
  allowOrigin: list(text(notEmpty)),
  allowOrigins: list(stringMatch),
  allowMethods: list(text(notEmpty)),
  allowHeaders: list(text(headerName)),
  exposeHeaders: list(text(headerName)),
  maxAge: text(duration),
  allowCredentials: nullableBoolean,
  unmatchedPreflights: oneOf("UNSPECIFIED", "FORWARD", "IGNORE"),
});
