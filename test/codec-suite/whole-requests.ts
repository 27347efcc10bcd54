/**
 * An upstream's reading of the bytes that an engine sent it: which whole requests they are. What
 * an engine sends has to be so plain that this suffices; anything else throws.
 */

export interface WholeRequest {
  /** Method and path. */
  readonly line: string;
  readonly body: string;
}

export interface Reading {
  readonly whole: readonly WholeRequest[];
  /** What is left: the beginning of another. */
  readonly rest: string;
}

export function wholeRequests(text: string): Reading {
  const whole: WholeRequest[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) return { whole, rest };
    const head = rest.slice(0, end);
    const [, line = ""] = /^([A-Z]+ \S+) HTTP\/1\.1\r\n/.exec(`${head}\r\n`) ?? [];
    if (line === "") throw new Error(`no request: ${JSON.stringify(head)}`);
    const body = bodyOf(head, rest.slice(end + 4));
    if (body === undefined) return { whole, rest };
    whole.push({ line, body: body.text });
    rest = rest.slice(end + 4 + body.length);
  }
}

/** Undefined where it is not all there. */
function bodyOf(head: string, rest: string): { text: string; length: number } | undefined {
  const lengths = [...head.matchAll(/\r\ncontent-length: (\d+)(?=\r\n|$)/gi)];
  const chunked = /\r\ntransfer-encoding: chunked(?=\r\n|$)/i.test(head);
  const framings = head.match(/\r\n(content-length|transfer-encoding)[^\r]*/gi) ?? [];
  if (framings.length > 1 || framings.length !== lengths.length + (chunked ? 1 : 0)) {
    throw new Error(`odd framing: ${JSON.stringify(head)}`);
  }
  if (chunked) return chunkedBody(rest);
  const length = Number(lengths[0]?.[1] ?? 0);
  return rest.length < length ? undefined : { text: rest.slice(0, length), length };
}

function chunkedBody(rest: string): { text: string; length: number } | undefined {
  let text = "";
  let at = 0;
  for (;;) {
    const line = /^([0-9a-f]+)\r\n/i.exec(rest.slice(at));
    if (line === null) {
      if (/^[0-9a-f]*\r?$/i.test(rest.slice(at))) return undefined;
      throw new Error(`odd chunk: ${JSON.stringify(rest.slice(at, at + 40))}`);
    }
    at += line[0].length;
    const size = Number.parseInt(line[1] ?? "", 16);
    if (size === 0) {
      if (rest.startsWith("\r\n", at)) return { text, length: at + 2 };
      const end = rest.indexOf("\r\n\r\n", at);
      return end < 0 ? undefined : { text, length: end + 4 };
    }
    if (rest.length < at + size + 2) return undefined;
    text += rest.slice(at, at + size);
    at += size + 2;
  }
}
