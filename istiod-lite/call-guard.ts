/**
 * Reviews the token of every call before anything of it is read: of a caller without one, neither
 * a message is taken nor memory. The services review it again for themselves, which is then cheap.
 */
import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from "@grpc/grpc-js";
import { describeError } from "#common/runtime/errors.ts";
import type { TokenReviewer } from "./ca/token-review.ts";

export interface CallGuardDeps {
  readonly tokens: TokenReviewer;
  /** The connection from `peer` has brought a good token. */
  readonly onProved: (peer: string) => void;
  readonly onRefused: (peer: string, why: string) => void;
}

export function callGuard(deps: CallGuardDeps): ServerInterceptor {
  return (_method, call) =>
    new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, nextMetadata) => {
            void guard(deps, call, metadata).then((passes) => {
              if (passes) nextMetadata(metadata);
            });
          },
        });
      },
    });
}

async function guard(
  { tokens, onProved, onRefused }: CallGuardDeps,
  call: ServerInterceptingCallInterface,
  metadata: Metadata,
): Promise<boolean> {
  const peer = call.getPeer();
  try {
    const [header, ...more] = metadata.get("authorization");
    await tokens.review(more.length === 0 ? header?.toString() : undefined);
    onProved(peer);
    return true;
  } catch (error) {
    onRefused(peer, describeError(error));
    call.sendStatus({ code: status.UNAUTHENTICATED, details: "request authenticate failure" });
    return false;
  }
}
