/** From xDS pushes to state updates: the resource types that proxies subscribe to. */

import type { StateUpdate } from "#common/mesh-state/proxy-state.ts";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { type DecodeAuthorizationOptions, decodeAuthorization } from "./decode-authorization.ts";
import { decodeCapturedPod } from "./decode-captured-pod.ts";
import { decodeAddress } from "./decode-workload.ts";
import type { NameSubscription } from "./name-subscription.ts";
import { ResourceHandler } from "./resource-handler.ts";
import { ADDRESS_TYPE, AUTHORIZATION_TYPE, CAPTURED_POD_TYPE } from "./type-urls.ts";

const NOTHING: StateUpdate = {
  addresses: [],
  removedAddresses: [],
  policies: [],
  removedPolicies: [],
};

export type StateListener = (update: StateUpdate) => void;
export type CapturedPodsListener = (
  upserts: readonly CapturedPod[],
  removedUids: readonly string[],
) => void;

/**
 * Handlers that hand on what changed; nothing is ever removed that istiod does not name. Without
 * `onCapturedPods` that type, which is our own, is not asked for; with `names` only those addresses
 * are.
 */
export function meshHandlers(
  onState: StateListener,
  onCapturedPods: CapturedPodsListener | undefined,
  policyOptions: DecodeAuthorizationOptions = {},
  names?: NameSubscription,
): readonly ResourceHandler[] {
  const handlers = [addressHandler(onState, names), policyHandler(onState, policyOptions)];
  if (onCapturedPods === undefined) return handlers;
  const captured = ResourceHandler.of({
    typeUrl: CAPTURED_POD_TYPE,
    decode: decodeCapturedPod,
    apply: (upserts, removedUids) => {
      onCapturedPods(
        upserts.map(({ value }) => value),
        removedUids,
      );
    },
  });
  return [...handlers, captured];
}

/** Workloads and services; with `names` only those. */
export function addressHandler(onState: StateListener, names?: NameSubscription): ResourceHandler {
  return ResourceHandler.of({
    typeUrl: ADDRESS_TYPE,
    ...(names && { names }),
    decode: decodeAddress,
    complain: ({ notUnderstood }) => notUnderstood?.join("; "),
    apply: (upserts, removedAddresses) => {
      const addresses = upserts.map(({ value }) => value);
      onState({ ...NOTHING, addresses, removedAddresses });
    },
  });
}

/** What cannot be read of a policy is told, and what is left of it is in force. */
function policyHandler(
  onState: StateListener,
  options: DecodeAuthorizationOptions,
): ResourceHandler {
  return ResourceHandler.of({
    typeUrl: AUTHORIZATION_TYPE,
    decode: (bytes) => decodeAuthorization(bytes, options),
    complain: ({ unreadable }) => unreadable?.join("; "),
    apply: (upserts, removedPolicies, rejected) => {
      const policies = upserts.map(({ value }) => value);
      const unreadablePolicies = rejected.map(({ name }) => name);
      onState({ ...NOTHING, policies, removedPolicies, unreadablePolicies });
    },
  });
}
