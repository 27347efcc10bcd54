/** For tests: a client of HTTP/1.1, and patience. */
import { once } from "node:events";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
}

/** One request of HTTP/1.1. Rejects where the response broke off. */
export async function call(
  port: number,
  options: http.RequestOptions & { readonly body?: string | Buffer } = {},
): Promise<Answer> {
  const { body, ...rest } = options;
  const request = http.request({ host: "127.0.0.1", port, agent: false, ...rest });
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  // The response says so, too.
  request.on("error", () => undefined);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(chunks).toString(),
    trailers: response.trailers,
  };
}

/** Waits for a condition that something outside brings about. */
export async function until(condition: () => boolean, timeoutMs = 20_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`still not: ${condition}`);
    await sleep(5);
  }
}
