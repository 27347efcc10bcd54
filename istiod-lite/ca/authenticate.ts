/** Who makes a gRPC call, by the token that it carries; or what it is answered. */
import { type Metadata, status } from "@grpc/grpc-js";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Caller } from "./caller.ts";
import type { TokenReviewer } from "./token-review.ts";

/** Callers are told little; the reason is for our log. */
export interface CallRefusal {
  readonly code: status;
  readonly details: string;
  readonly why: string;
}

export type Authenticated =
  | { readonly caller: Caller; readonly refusal?: undefined }
  | { readonly caller?: undefined; readonly refusal: CallRefusal };

/**
 * UNAUTHENTICATED, in Istio's words, where the token is not accepted; UNAVAILABLE where nobody can
 * review it now, so that the caller comes again with the same one. Never rejects.
 */
export async function authenticate(
  tokens: TokenReviewer,
  metadata: Metadata,
): Promise<Authenticated> {
  const [header, ...more] = metadata.get("authorization");
  try {
    if (more.length > 0) {
      throw new MeshError("UNAUTHENTICATED", "the call carries several authorization headers");
    }
    return { caller: await tokens.review(header?.toString()) };
  } catch (error) {
    const why = describeError(error);
    const isRefused = error instanceof MeshError && error.code === "UNAUTHENTICATED";
    return {
      refusal: isRefused
        ? { code: status.UNAUTHENTICATED, details: "request authenticate failure", why }
        : { code: status.UNAVAILABLE, details: "tokens cannot be reviewed now", why },
    };
  }
}
