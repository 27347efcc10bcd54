/**
 * Reviews the token of every call before anything of it is read: of a caller without one, neither
 * a message is taken nor memory. The services review it again for themselves, which is then cheap.
 */
import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from "@grpc/grpc-js";
import { authenticate } from "./ca/authenticate.ts";
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
  const { refusal } = await authenticate(tokens, metadata);
  if (refusal === undefined) {
    onProved(peer);
    return true;
  }
  onRefused(peer, refusal.why);
  call.sendStatus({ code: refusal.code, details: refusal.details });
  return false;
}
