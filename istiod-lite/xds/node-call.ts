/** Calls that only the ztunnel of a node may make, about its own node. */
import { type Metadata, status } from "@grpc/grpc-js";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { Caller, TokenReviewer } from "../ca/token-review.ts";

export interface NodeCallDeps {
  readonly tokens: TokenReviewer;
  readonly isNodeProxy: (caller: Caller) => boolean;
  readonly logger: Logger;
}

export interface Refusal {
  readonly code: status;
  readonly details: string;
}

/** The caller where its token makes it the proxy of `node`, else what it is answered. */
export type NodeCaller =
  | { readonly caller: Caller; readonly refusal?: undefined }
  | { readonly caller?: undefined; readonly refusal: Refusal };

export async function nodeCallerOf(
  { tokens, isNodeProxy, logger }: NodeCallDeps,
  metadata: Metadata,
  node: string,
): Promise<NodeCaller> {
  let caller: Caller;
  try {
    caller = await tokens.review(metadata.get("authorization")[0]?.toString());
  } catch (error) {
    logger.warn("call of a node's proxy refused", { node, why: describeError(error) });
    const details = "request authenticate failure";
    return { refusal: { code: status.UNAUTHENTICATED, details } };
  }
  if (isNodeProxy(caller) && caller.node === node) return { caller };
  const details = `not the proxy of node ${node}`;
  return { refusal: { code: status.PERMISSION_DENIED, details } };
}
