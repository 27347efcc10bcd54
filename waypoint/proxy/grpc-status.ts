/** gRPC's way of saying what HTTP says with a status, and back. */

/** What a gRPC client is told for an HTTP status of ours. Source: Envoy, httpToGrpcStatus. */
export function grpcStatusOf(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return 13; // INTERNAL
    case 401:
      return 16; // UNAUTHENTICATED
    case 403:
      return 7; // PERMISSION_DENIED
    case 404:
      return 12; // UNIMPLEMENTED
    case 429:
    case 502:
    case 503:
    case 504:
      return 14; // UNAVAILABLE
    default:
      return 2; // UNKNOWN
  }
}

/** Source: Envoy, grpcToHttpStatus; by gRPC status. */
const HTTP_STATUSES = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

/** What a gRPC status counts as where HTTP's are counted: outlier detection. */
export function httpStatusOf(grpcStatus: string): number {
  return HTTP_STATUSES[Number(grpcStatus)] ?? 500;
}

/** Undefined where the text is no status. */
export function parseGrpcStatus(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,3}$/.test(text) ? Number(text) : undefined;
}

/** Source: gRPC over HTTP/2, Percent-Encoded: all but printable ASCII and `%` itself. */
export function encodeGrpcMessage(message: string): string {
  return message.replace(/[^ -$&-~]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${hex(byte)}`).join(""),
  );
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, "0");
}

/** Source: gRPC over HTTP/2, Content-Type. */
export function isGrpcContent(contentType: string | undefined): boolean {
  if (contentType?.startsWith("application/grpc") !== true) return false;
  const next = contentType["application/grpc".length];
  return next === undefined || next === "+" || next === ";";
}
