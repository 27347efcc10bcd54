/**
 * Requests that two readers could read differently, as bytes, and what must become of each. The
 * sources are what has gone wrong elsewhere: RFC 9112 11.2, the CVEs of Node's parser (2024-22019,
 * 2024-27982, 2025-23167), of other proxies, and published lists of Transfer-Encoding variants.
 */

/**
 * `refused`: a 4xx, and not one byte for the upstream. `cut`: bytes may have passed, but no whole
 * request. `one`: exactly one whole request. `two`: two, because they are two.
 */
export type Outcome = "refused" | "cut" | "one" | "two";

export interface SmugglingCase {
  readonly name: string;
  /** One character per byte. */
  readonly bytes: string;
  readonly outcome: Outcome;
  /** RFC 9112 has it two requests: what refuses it is a bound. */
  readonly lawful?: true;
}

/** What must never reach the upstream as a request of its own. */
export const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n";
const LENGTH = SMUGGLED.length;
const CHUNK = `${LENGTH.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`;

function group(
  what: string,
  outcome: Outcome,
  values: readonly string[],
  bytesOf: (value: string) => string,
): SmugglingCase[] {
  return values.map((value) => ({
    name: `${what} ${JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value)}`,
    bytes: bytesOf(value),
    outcome,
  }));
}

const post = (fields: string, body: string): string =>
  `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n${body}`;

const CODINGS = [
  ...["xchunked", "chunkedx", "chunked, identity", "identity", "identity, chunked"],
  ...["gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked,", ",chunked", '"chunked"'],
  ...["'chunked'", "chunked;q=1", "chunked ;", "\x0bchunked", "chunked\x0b", "\0chunked"],
  ...["chunked\0", "chunk ed", "", "cow", "\xa0chunked", "chunked\x85", "deflate", "chunked\x7f"],
];

const transferEncoding = [
  ...group("Transfer-Encoding", "refused", CODINGS, (value) =>
    post(`Transfer-Encoding: ${value}`, `0\r\n\r\n${SMUGGLED}`),
  ),
  ...group("Transfer-Encoding and a length", "refused", CODINGS.slice(0, 12), (value) =>
    post(`Content-Length: 5\r\nTransfer-Encoding: ${value}`, `0\r\n\r\n${SMUGGLED}`),
  ),
  ...group("Transfer-Encoding written as", "one", ["Chunked", "\tchunked", "chunked \t"], (value) =>
    post(`Transfer-Encoding: ${value}`, CHUNK),
  ),
];

const bothFramings = group(
  "framing fields",
  "refused",
  [
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "content-length: 5\r\nTRANSFER-ENCODING: chunked",
    "Content-Length: 0\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding:\n chunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    "Transfer-Encoding\0: chunked",
    " Transfer-Encoding: chunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "X: y\0\r\nTransfer-Encoding: chunked",
    "Transfer_Encoding: chunked",
    "Content_Length: 5",
    "Content-Length : 5",
    "Content-Length: 5\r\nX: y\r\nContent-Length: 6",
    "Content-Length: 5\r\nContent-Length: 5",
    "Content-Length: 5\r\ncontent-length: 0",
  ],
  (fields) => post(fields, `0\r\n\r\n${SMUGGLED}`),
);

const contentLength = [
  ...group(
    "Content-Length",
    "refused",
    [
      ...["+5", "-5", "-0", "0x5", "5 5", "5,5", "5, 5", "5\t5", "5;", "5.0", "5e0", "", "1_0"],
      ...["99999999999999999999", "9007199254740993", "18446744073709551621", "\xd9\xa5", "5\0"],
      ...["five", "5\r\n 5", '"5"'],
    ],
    (value) => post(`Content-Length: ${value}`, `0\r\n\r\n${SMUGGLED}`),
  ),
  ...group(
    "Content-Length written as",
    "one",
    [` ${LENGTH}`, `\t${LENGTH}`, `${LENGTH} `, `00${LENGTH}`],
    (value) => post(`Content-Length:${value}`, SMUGGLED),
  ),
];

const requestLines = [
  ...group(
    "request line",
    "refused",
    [
      ...["GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET\t/ HTTP/1.1", "GET / HTTP/1.1 "],
      ...["GET / HTTP/1.2", "GET / HTTP/2.0", "GET / HTTP/0.9", "GET / HTTP/3.0", "GET /"],
      ...["GET / RTSP/1.0", "SOURCE / ICE/1.0", "GET / http/1.1", "GET / HTTP/1.10"],
      ...["GET / HTTP/01.1", "GET / HTTP/1", "get / HTTP/1.1", "GET /\0 HTTP/1.1"],
      ...["GET / foo HTTP/1.1", "GET /a#b HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /\x01 HTTP/1.1"],
      ...["GET a HTTP/1.1", "GET * HTTP/1.1", "GET ftp://a/ HTTP/1.1", "GET https://a/ HTTP/1.1"],
      ...["GET http://b@a/ HTTP/1.1", "GET http:///x HTTP/1.1", "GET http://b/ HTTP/1.1"],
      ...["CONNECT a:80 HTTP/1.1", "PRI * HTTP/2.0", "GE\0T / HTTP/1.1", " GET / HTTP/1.1"],
      ...["\nGET / HTTP/1.1", "\r\rGET / HTTP/1.1", "\r\n".repeat(50).concat("GET / HTTP/1.1")],
      ...["GET / HTTP/1.1\r", "GET\x0b/ HTTP/1.1", "GET /\r HTTP/1.1", "G(T / HTTP/1.1"],
    ],
    (line) => `${line}\r\nHost: a\r\n\r\n`,
  ),
  ...group("an empty line before", "one", ["\r\n", "\r\n\r\n"], (before) => {
    return `${before}GET / HTTP/1.1\r\nHost: a\r\n\r\n`;
  }),
];

const hosts = [
  ...group(
    "Host",
    "refused",
    [
      ...["a b", "a/b", "b@a", "a,b", "a\\b", "[::1", "a:b", "a:999999", "a#b", "a?b", "a:80:80"],
      ...["a\r\nHost: b", "a\r\nHost: a", "a\r\n b", "a\0", "\xe4", "a\tb", '"a"', "http://a"],
    ],
    (host) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  ),
  { name: "no Host", bytes: "GET / HTTP/1.1\r\nX: y\r\n\r\n", outcome: "refused" as const },
  { name: "Host :", bytes: "GET / HTTP/1.1\r\nHost : a\r\n\r\n", outcome: "refused" as const },
];

const fieldSyntax = group(
  "fields",
  "refused",
  [
    ...["X: a\r\n b", "X: a\r\n\tb", "X : a", "X\t: a", "X", ": a", "X Y: a", "X\0: a", "X: \0"],
    ...["X: a\rb", "X: a\nb", "X: a\n", "X(: a", "X\xff: a", "X: \x7f", "X: \x01", "X:\r\n\ta"],
    ...["X: a\r\n\rY: b", "X: a\r\n\r", "X: a\r\r\nY: b", "[X]: a", "X=: a;\x1b"],
    ...["X: a\r\n\rGET /smuggled HTTP/1.1", "X: a\n\nGET /smuggled HTTP/1.1\r\nHost: evil"],
  ],
  (fields) => `GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n`,
);

const chunks = group(
  "a chunked body",
  "cut",
  [
    ...["5\r\nhelloX\n0\r\n\r\n", "5\r\nhelloX0\r\n\r\n"],
    ...["5 \r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n"],
    ...["+5\r\nhello\r\n0\r\n\r\n", "-5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n"],
    ...["5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r\n0\n\r\n"],
    ...["5\r\r\nhello\r\n0\r\n\r\n", "5\rhello\r\n0\r\n\r\n", "g\r\n0\r\n\r\n", "\r\n0\r\n\r\n"],
    ...["FFFFFFFFFFFFFFFF\r\nhello", "10000000000000005\r\nhello\r\n0\r\n\r\n", ";x\r\n0\r\n\r\n"],
    "5;a\0\r\nhello\r\n0\r\n\r\n",
    ...[
      "5;a\nb\r\nhello\r\n0\r\n\r\n",
      "5;a\rb\r\nhello\r\n0\r\n\r\n",
      "5,5\r\nhello\r\n0\r\n\r\n",
    ],
    ...["5\r\nhello\r\n0\r\nX\r\n\r\n", "5\r\nhello\r\n0\r\nX : y\r\n\r\n"],
    ...["5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n", "5\r\nhello\r\n0\r\nX: y\nZ: a\r\n\r\n"],
    ...["5\r\nhello\r\n0\r\nX: \0\r\n\r\n", "5\r\nhello\r\n0\r\n\rX: y\r\n\r\n"],
  ],
  (body) => post("Transfer-Encoding: chunked", body + SMUGGLED),
);

const lavishChunks = group(
  "a lavishly chunked body",
  "cut",
  [
    "0000000000000005\r\nhello\r\n0\r\n\r\n",
    `5;${"a".repeat(20_000)}\r\nhello\r\n0\r\n\r\n`,
    `${`1;${"a".repeat(900)}\r\nx\r\n`.repeat(30)}0\r\n\r\n`,
  ],
  (body) => post("Transfer-Encoding: chunked", body + SMUGGLED),
).map((each) => ({ ...each, lawful: true as const }));

const whole: SmugglingCase[] = [
  { name: "a request as a body", bytes: post(`Content-Length: ${LENGTH}`, SMUGGLED) },
  { name: "a request as a chunk", bytes: post("Transfer-Encoding: chunked", CHUNK) },
  { name: "a GET with a request as its body", bytes: post(`Content-Length: ${LENGTH}`, SMUGGLED) },
  { name: "a request in a field", bytes: post("X: GET /smuggled HTTP/1.1\r\nHost2: x", "") },
  {
    name: "Connection names the framing",
    bytes: post(`Connection: content-length\r\nContent-Length: ${LENGTH}`, SMUGGLED),
  },
  {
    name: "Connection names the coding",
    bytes: post("Connection: transfer-encoding\r\nTransfer-Encoding: chunked", CHUNK),
  },
  {
    name: "Connection names the host",
    bytes: "GET / HTTP/1.1\r\nConnection: host\r\nHost: a\r\n\r\n",
  },
  {
    name: "trailers with framing fields",
    bytes: post("Transfer-Encoding: chunked", "0\r\nHost: evil\r\nX-Length: 9\r\n\r\n"),
  },
  {
    name: "Expect and a body that follows at once",
    bytes: post(`Expect: 100-continue\r\nContent-Length: ${LENGTH}`, SMUGGLED),
  },
].map((each) => ({ ...each, outcome: "one" as const }));

const pipelined: SmugglingCase[] = [
  {
    name: "two requests at once",
    bytes: "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    outcome: "two",
  },
  {
    name: "a chunked body and a request",
    bytes: post(
      "Transfer-Encoding: chunked",
      "1\r\nx\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    outcome: "two",
  },
];

const oldVersion: SmugglingCase[] = [
  {
    name: "Transfer-Encoding in HTTP/1.0",
    bytes: `POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNK}`,
    outcome: "refused",
  },
  {
    name: "more behind a request of HTTP/1.0",
    bytes: `GET / HTTP/1.0\r\nHost: a\r\n\r\n${SMUGGLED}`,
    outcome: "one",
  },
  {
    name: "more behind a request that says close",
    bytes: `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${SMUGGLED}`,
    outcome: "one",
  },
];

export const SMUGGLING_CORPUS: readonly SmugglingCase[] = [
  ...transferEncoding,
  ...bothFramings,
  ...contentLength,
  ...requestLines,
  ...hosts,
  ...fieldSyntax,
  ...chunks,
  ...lavishChunks,
  ...whole,
  ...pipelined,
  ...oldVersion,
];
