/** Sends one request on a leased connection and gathers the whole of its response. */
import { describeError } from "#common/runtime/errors.ts";
import type { ServiceCall, ServiceFailure, ServiceResponse } from "../filter/service-caller.ts";
import type { ClientExchange } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import type { BodyLength, ResponseHead } from "../http/message.ts";
import type { AttemptOutcome, Lease } from "./upstream.ts";

interface Waiting {
  readonly signal: AbortSignal;
  /** Milliseconds that only grow. */
  readonly now: () => number;
}

/** Never rejects. The lease is given back when the response is over, or nobody wants it. */
export function collectResponse(
  lease: Lease,
  call: ServiceCall,
  { signal, now }: Waiting,
): Promise<ServiceResponse | ServiceFailure> {
  return new Promise((done) => {
    const beganAt = now();
    let exchange: ClientExchange | undefined;
    let over = false;
    const finish = (answer: ServiceResponse | ServiceFailure): void => {
      if (over) return;
      over = true;
      signal.removeEventListener("abort", abort);
      if ("failed" in answer) exchange?.cancel();
      lease.finished(outcomeOf(answer, call, now() - beganAt));
      done(answer);
    };
    const abort = (): void => finish({ failed: "it took too long" });
    signal.addEventListener("abort", abort);
    try {
      exchange = send(lease, call, new Response(call.maxResponseBytes, finish));
    } catch (error) {
      finish({ failed: describeError(error) });
    }
    if (signal.aborted) abort();
  });
}

function send(lease: Lease, { head, body }: ServiceCall, response: Response): ClientExchange {
  const bytes = body.length;
  const length: BodyLength = bytes === 0 ? { kind: "none" } : { kind: "known", bytes };
  const exchange = lease.connection.request(head, length, {
    onInformation: () => undefined,
    onHead: (answer) => response.onHead(answer),
    onData: (chunk) => response.onData(chunk),
    onEnd: (trailers) => response.onEnd(trailers),
    onDrain: () => undefined,
    onClosed: (error) => response.onClosed(error),
  });
  if (bytes > 0) {
    exchange.write(body);
    exchange.end();
  }
  return exchange;
}

function outcomeOf(
  answer: ServiceResponse | ServiceFailure,
  { context }: ServiceCall,
  milliseconds: number,
): AttemptOutcome {
  if (context?.signal.aborted) return { kind: "unused" };
  if ("failed" in answer) return { kind: "local-failure", milliseconds };
  return { kind: "response", status: answer.head.status, milliseconds };
}

class Response {
  readonly #limit: number;
  readonly #finish: (answer: ServiceResponse | ServiceFailure) => void;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #head: ResponseHead | undefined;
  #whole: ServiceResponse | undefined;

  constructor(limit: number, finish: (answer: ServiceResponse | ServiceFailure) => void) {
    this.#limit = limit;
    this.#finish = finish;
  }

  onHead(head: ResponseHead): void {
    this.#head = head;
  }

  onData(chunk: Uint8Array): boolean {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limit) {
      this.#finish({ failed: `the answer has more than ${this.#limit} bytes` });
      return false;
    }
    this.#chunks.push(Uint8Array.from(chunk));
    return true;
  }

  onEnd(trailers: HeaderList | undefined): void {
    const head = this.#head ?? { status: 0, headers: new HeaderList() };
    this.#whole = { head, body: Buffer.concat(this.#chunks), trailers };
  }

  onClosed(error: Error | undefined): void {
    // What came whole counts, however the exchange ended.
    this.#finish(this.#whole ?? { failed: error?.message ?? "the connection was closed" });
  }
}
