/** Calls that only the ztunnel of a node may make, about its own node. */
import { type Metadata, status } from "@grpc/grpc-js";
import type { Logger } from "#common/telemetry/logger.ts";
import { type Authenticated, authenticate } from "../ca/authenticate.ts";
import type { Caller } from "../ca/caller.ts";
import type { TokenReviewer } from "../ca/token-review.ts";

export interface NodeCallDeps {
  readonly tokens: TokenReviewer;
  readonly isNodeProxy: (caller: Caller) => boolean;
  readonly logger: Logger;
}

/** The caller where its token makes it the proxy of `node`, else what it is answered. */
export async function nodeCallerOf(
  { tokens, isNodeProxy, logger }: NodeCallDeps,
  metadata: Metadata,
  node: string,
): Promise<Authenticated> {
  const authenticated = await authenticate(tokens, metadata);
  const { caller, refusal } = authenticated;
  if (refusal !== undefined) {
    logger.warn("call of a node's proxy refused", { node, why: refusal.why });
    return authenticated;
  }
  if (isNodeProxy(caller) && caller.node === node) return authenticated;
  const details = `not the proxy of node ${node}`;
  return { refusal: { code: status.PERMISSION_DENIED, details, why: details } };
}
