/** From what a server says instead of success, and from failures of a connection, to one error. */
import { KubeApiError } from "#common/kube-client/kube-client.ts";
import { ERROR_TEXT_CHARACTERS, RETRY_AFTER_MAX_MS } from "#common/kube-client/limits.ts";
import { describeError } from "#common/runtime/errors.ts";

/** What was asked, for people: "GET /api/v1/pods". */
export type Asked = string;

/**
 * Reasons by status, for answers that are no Status of Kubernetes' own: a proxy's, or one of the
 * server's outer layers.
 */
const REASONS: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  406: "NotAcceptable",
  409: "Conflict",
  410: "Expired",
  413: "RequestEntityTooLarge",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

const HINTS: Readonly<Record<string, string>> = {
  Unauthorized: "check the token or client certificate: it may have expired",
  Forbidden: "grant the verb named here by a Role or ClusterRole (RBAC)",
};

/** An answer that is not a success, as an error. */
export function answerError(
  asked: Asked,
  status: number,
  body: string,
  retryAfter: string | undefined,
): KubeApiError {
  const parsed = parseStatus(body);
  const seconds = /^\d{1,6}$/.test(retryAfter ?? "") ? Number(retryAfter) : parsed.retryAfterS;
  const retryAfterMs =
    seconds === undefined ? undefined : Math.min(seconds * 1_000, RETRY_AFTER_MAX_MS);
  return statusError(asked, { ...parsed, status: status || parsed.status, retryAfterMs });
}

/** The Status that an ERROR event of a watch carries, as an error. */
export function eventError(asked: Asked, object: unknown): KubeApiError {
  return statusError(asked, readStatus(object) ?? { status: 0, reason: "", message: "" });
}

/** No answer, or one that broke off. */
export function connectionError(asked: Asked, reason: string, cause: unknown): KubeApiError {
  if (cause instanceof KubeApiError) return cause;
  return new KubeApiError(
    `${asked}: ${describeConnection(cause)}`,
    { status: 0, reason },
    { cause, hint: hintOf(cause) },
  );
}

interface Parsed {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterS?: number | undefined;
}

function statusError(
  asked: Asked,
  answer: Parsed & { readonly retryAfterMs?: number | undefined },
): KubeApiError {
  const reason = answer.reason || REASONS[answer.status] || "Unknown";
  const message = `${asked}: ${answer.message || `answered ${answer.status}`}`;
  const hint = HINTS[reason];
  return new KubeApiError(
    message,
    { status: answer.status, reason, retryAfterMs: answer.retryAfterMs },
    hint === undefined ? {} : { hint },
  );
}

function parseStatus(body: string): Parsed {
  try {
    const status = readStatus(JSON.parse(body));
    if (status !== undefined) return status;
  } catch {
    // A proxy's page, or a plain text: told as it is.
  }
  const line = body.replaceAll(/\s+/g, " ").trim();
  return { status: 0, reason: "", message: line.slice(0, ERROR_TEXT_CHARACTERS) };
}

/** Source: metav1.Status. */
function readStatus(value: unknown): Parsed | undefined {
  if (typeof value !== "object" || value === null || !("kind" in value)) return undefined;
  if (value.kind !== "Status") return undefined;
  const { code, reason, message, details } = value as Record<string, unknown>;
  const after =
    typeof details === "object" && details !== null && "retryAfterSeconds" in details
      ? details.retryAfterSeconds
      : undefined;
  return {
    status: typeof code === "number" ? code : 0,
    reason: typeof reason === "string" ? reason : "",
    message: typeof message === "string" ? message : "",
    retryAfterS: typeof after === "number" && after >= 0 ? after : undefined,
  };
}

function describeConnection(cause: unknown): string {
  // Trying several addresses of a name fails with all of their errors, and no message of its own.
  if (cause instanceof AggregateError && cause.message === "") {
    return cause.errors.map(describeError).join(", ");
  }
  return describeError(cause);
}

function hintOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (code === "ECONNREFUSED") return "is the API server running, and is this its address?";
  if (code === "ENOTFOUND") return "check the host name of the server";
  if (
    code.includes("CERT") ||
    code.includes("SIGNATURE") ||
    code === "ERR_TLS_CERT_ALTNAME_INVALID"
  ) {
    return "the server's certificate is not trusted: check the CA and tls-server-name";
  }
  return "check that the API server can be reached";
}
