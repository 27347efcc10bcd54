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

/** Undefined where the caller's token makes it the proxy of `node`. */
export async function refusalOfNodeCall(
  { tokens, isNodeProxy, logger }: NodeCallDeps,
  metadata: Metadata,
  node: string,
): Promise<Refusal | undefined> {
  let caller: Caller;
  try {
    caller = await tokens.review(metadata.get("authorization")[0]?.toString());
  } catch (error) {
    logger.warn("call of a node's proxy refused", { node, why: describeError(error) });
    return { code: status.UNAUTHENTICATED, details: "request authenticate failure" };
  }
  if (isNodeProxy(caller) && caller.node === node) return undefined;
  return { code: status.PERMISSION_DENIED, details: `not the proxy of node ${node}` };
}
