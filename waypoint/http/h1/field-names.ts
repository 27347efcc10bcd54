/**
 * Names of header fields: one lower-case string per common name, so that nothing is lower-cased
 * on the way of a request, and what each name means for the framing of HTTP/1.1.
 */

/** `end-to-end`: passed on. `hop`: for this connection only, dropped. Others are read. */
export type FieldRole =
  | "end-to-end"
  | "hop"
  | "host"
  | "content-length"
  | "transfer-encoding"
  | "connection"
  | "upgrade"
  | "te"
  | "expect"
  | "look-alike";

export interface FieldName {
  readonly name: string;
  readonly role: FieldRole;
}

const ROLES: Readonly<Record<string, FieldRole>> = {
  host: "host",
  "content-length": "content-length",
  "transfer-encoding": "transfer-encoding",
  connection: "connection",
  upgrade: "upgrade",
  te: "te",
  expect: "expect",
  "keep-alive": "hop",
  "proxy-connection": "hop",
  "proxy-authenticate": "hop",
  "proxy-authorization": "hop",
  "proxy-authentication-info": "hop",
  "http2-settings": "hop",
  // Some servers take an underscore for a hyphen: then they would see other framing than we do.
  content_length: "look-alike",
  transfer_encoding: "look-alike",
};

const COMMON = `accept accept-charset accept-encoding accept-language accept-ranges age allow
  access-control-allow-credentials access-control-allow-headers access-control-allow-methods
  access-control-allow-origin access-control-expose-headers access-control-max-age
  access-control-request-headers access-control-request-method alt-svc authorization baggage
  cache-control content-disposition content-encoding content-language content-location
  content-range content-security-policy content-type cookie date etag expires forwarded from
  grpc-accept-encoding grpc-encoding grpc-message grpc-status grpc-timeout idempotency-key
  if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link
  location max-forwards origin pragma priority range referer retry-after sec-ch-ua
  sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site
  sec-fetch-user sec-websocket-accept sec-websocket-extensions sec-websocket-key
  sec-websocket-protocol sec-websocket-version server server-timing set-cookie
  strict-transport-security trace-id traceparent tracestate trailer upgrade-insecure-requests
  user-agent vary via warning www-authenticate x-b3-flags x-b3-parentspanid x-b3-sampled
  x-b3-spanid x-b3-traceid x-content-type-options x-envoy-attempt-count
  x-envoy-upstream-service-time x-forwarded-client-cert x-forwarded-for x-forwarded-host
  x-forwarded-proto x-frame-options x-powered-by x-real-ip x-request-id x-requested-with`;

/** Spellings whose words do not just begin with capitals. */
const OTHER_SPELLINGS = ["ETag", "TE", "X-Request-ID", "WWW-Authenticate"];

/** A bounded set: only names of this file are in it, whatever clients send. */
const KNOWN = knownNames();

function knownNames(): Map<string, FieldName> {
  const known = new Map<string, FieldName>();
  for (const name of [...Object.keys(ROLES), ...COMMON.split(/\s+/)]) {
    const words = name.split("-").map((word) => word.charAt(0).toUpperCase() + word.slice(1));
    const entry: FieldName = { name, role: ROLES[name] ?? "end-to-end" };
    known.set(name, entry).set(words.join("-"), entry);
  }
  for (const spelling of OTHER_SPELLINGS) {
    const entry = known.get(spelling.toLowerCase());
    if (entry !== undefined) known.set(spelling, entry);
  }
  return known;
}

/** `name` as it came, a token already. */
export function fieldName(name: string): FieldName {
  const known = KNOWN.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  return KNOWN.get(lower) ?? { name: lower, role: "end-to-end" };
}

/** RFC 9110 5.6.2, in lower case. */
const LOWER_TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
/** RFC 9110 5.5, as one byte per character. */
const NOT_OF_A_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

/** Whether HTTP/1.1 can carry this field: no name or value may end its line. */
export function isSendable(name: string, value: string): boolean {
  return (KNOWN.has(name) || LOWER_TOKEN.test(name)) && !NOT_OF_A_VALUE.test(value);
}

/**
 * Fields that change framing, routing, authentication or the meaning of the content: in trailers
 * they would take effect after they were checked (RFC 9110 6.5.1).
 */
const NOT_IN_TRAILERS = new Set(
  `authorization cache-control connection content-encoding content-length content-range
  content-type cookie expect forwarded host http2-settings keep-alive max-forwards
  proxy-authenticate proxy-authorization proxy-connection range set-cookie te trailer
  transfer-encoding upgrade www-authenticate x-forwarded-client-cert x-forwarded-for
  x-forwarded-host x-forwarded-proto x-request-id content_length transfer_encoding`.split(/\s+/),
);

export function mayTrail(name: string): boolean {
  return !NOT_IN_TRAILERS.has(name);
}
