/** Fields that both sides know from the beginning (RFC 7541 appendix A). */

/** Names, each with the value behind `=` if there is one, in the order of their indices from 1. */
const FIELDS = [
  ...[":authority", ":method=GET", ":method=POST", ":path=/", ":path=/index.html"],
  ...[":scheme=http", ":scheme=https", ":status=200", ":status=204", ":status=206"],
  ...[":status=304", ":status=400", ":status=404", ":status=500", "accept-charset"],
  ...["accept-encoding=gzip, deflate", "accept-language", "accept-ranges", "accept"],
  ...["access-control-allow-origin", "age", "allow", "authorization", "cache-control"],
  ...["content-disposition", "content-encoding", "content-language", "content-length"],
  ...["content-location", "content-range", "content-type", "cookie", "date", "etag", "expect"],
  ...["expires", "from", "host", "if-match", "if-modified-since", "if-none-match", "if-range"],
  ...["if-unmodified-since", "last-modified", "link", "location", "max-forwards"],
  ...["proxy-authenticate", "proxy-authorization", "range", "referer", "refresh", "retry-after"],
  ...["server", "set-cookie", "strict-transport-security", "transfer-encoding", "user-agent"],
  ...["vary", "via", "www-authenticate"],
].map((field) => field.split("="));

/** By index; there is none at 0. */
export const STATIC_NAMES: readonly string[] = ["", ...FIELDS.map(([name = ""]) => name)];
export const STATIC_VALUES: readonly string[] = ["", ...FIELDS.map(([, value = ""]) => value)];

/** How many there are: the dynamic table's indices follow. */
export const STATIC_ENTRIES = FIELDS.length;
