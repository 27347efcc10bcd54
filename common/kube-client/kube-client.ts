/**
 * What talking to a Kubernetes API server means to the rest of the project: requests, watches and
 * one kind of error. How a connection is made and proven stands in the files beside this one.
 */
import { MeshError } from "#common/runtime/errors.ts";

export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Absolute, without a query: "/api/v1/namespaces/shop/pods". */
  readonly path: string;
  /** Undefined values are left out. */
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** `application/json` unless said otherwise. */
  readonly contentType?: string;
  /** The forms of answer that will do; `application/json` unless said otherwise. */
  readonly accept?: string;
  /** From the call to the answer's last byte; `REQUEST_TIMEOUT_MS` unless said. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * An answer of the API server that is not a success, or no answer at all. `status` is HTTP's
 * (0: none came), `reason` the API's own word: NotFound, Conflict, Forbidden, Expired and others.
 */
export class KubeApiError extends MeshError {
  readonly status: number;
  readonly reason: string;
  /** What the server asked for by Retry-After, milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    answer: { status: number; reason: string; retryAfterMs?: number | undefined },
    options: { cause?: unknown; hint?: string } = {},
  ) {
    super("KUBE_API", message, options);
    this.name = "KubeApiError";
    this.status = answer.status;
    this.reason = answer.reason;
    this.retryAfterMs = answer.retryAfterMs;
  }
}

export interface WatchRequest extends Pick<KubeRequest, "path" | "query" | "accept" | "signal"> {
  /** No whole line for so long ends the watch; `WATCH_IDLE_TIMEOUT_MS` unless said otherwise. */
  readonly idleTimeoutMs?: number;
  /** The server has taken the watch on; events may come at any time, or never. */
  readonly onOpen?: () => void;
}

export interface KubeClient {
  /** The API server's address, without a trailing slash: "https://10.0.0.1:443". */
  readonly server: string;
  /** The answer's parsed JSON; undefined where the body is empty. Throws `KubeApiError`. */
  request(request: KubeRequest): Promise<unknown>;
  /**
   * The lines of a watch, each parsed; ends when the server ends it. Throws `KubeApiError` when it
   * is refused or breaks off. `watch=true` is added to the query.
   */
  watch(request: WatchRequest): AsyncIterable<unknown>;
  /** Ends every request and connection. */
  close(): void;
}
