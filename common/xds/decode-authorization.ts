/**
 * istio.security.Authorization from the wire. What of a policy this version cannot represent (a
 * field, an enum number or an extension of a newer control plane, a malformed value) is read
 * against whoever wants in: an ALLOW never matches by it, a DENY matches as if it held. So nothing
 * is let through that the policy's author did not mean to.
 */
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Authorization, PolicyScope, Rule } from "#common/model/authorization.ts";
import { AUDIT_EXTENSION, POLICY_SCOPES, WIRE_ACTIONS } from "./authorization-wire.ts";
import { RuleReader, Unreadable } from "./decode-authorization-rule.ts";
import { decodeMessage, requiredText } from "./decode-wire.ts";
import * as wire from "./gen/istio/authorization_pb.js";

export interface DecodeAuthorizationOptions {
  /** Whose policies may cover the whole mesh. @default "istio-system" */
  readonly rootNamespace?: string;
}

/**
 * Throws MeshError INVALID_RESOURCE for bytes that are no Authorization, or one without a name.
 * What could not be read of any other is listed in `unreadable`.
 */
export function decodeAuthorization(
  bytes: Uint8Array,
  { rootNamespace = "istio-system" }: DecodeAuthorizationOptions = {},
): Authorization {
  const message = decodeMessage(wire.AuthorizationSchema, bytes);
  const { name, namespace } = message;
  requiredText(name, "the policy's name");
  const unreadable = new Unreadable();
  const scope = readScope(message.scope, namespace === rootNamespace, unreadable);
  const body = readAudit(message, unreadable) ?? readBody(message, unreadable);
  return {
    name,
    namespace,
    scope,
    ...body,
    ...(unreadable.notes.length > 0 && { unreadable: unreadable.notes }),
  };
}

type Body = Pick<Authorization, "action" | "rules" | "dryRun">;

const EVERYTHING: readonly Rule[] = [{ clauses: [] }];
const NOTHING: readonly Rule[] = [];

/** A scope that is not known reaches as far as it can: the namespace, from the root the mesh. */
function readScope(scope: number, inRoot: boolean, unreadable: Unreadable): PolicyScope {
  const known = POLICY_SCOPES[scope];
  if (known !== undefined) return known;
  unreadable.note(`scope ${scope} is unknown`);
  return inRoot ? "global" : "namespace";
}

function readBody(message: wire.Authorization, unreadable: Unreadable): Body {
  const { dryRun } = message;
  const action = WIRE_ACTIONS[message.action];
  if (action === undefined) {
    // Nobody knows what it would let through, so it lets nobody through; a dry run decides nothing.
    unreadable.note(`action ${message.action} is unknown`);
    return { action: "deny", rules: EVERYTHING, dryRun };
  }
  for (const { name } of message.extensions) unreadable.note(`extension ${name} is unknown`);
  const whole = unreadable.unknownFields(message, "the policy") && message.extensions.length === 0;
  if (!whole) return { action, rules: action === "deny" ? EVERYTHING : NOTHING, dryRun };
  const reader = new RuleReader(action, unreadable);
  return { action, rules: message.rules.flatMap((rule) => reader.read(rule)), dryRun };
}

/**
 * An AUDIT policy as encode-authorization.ts hides it in one that does nothing. One that cannot be
 * read is not told of: it decides nothing.
 */
function readAudit(message: wire.Authorization, unreadable: Unreadable): Body | undefined {
  const extension = message.extensions.find(({ name }) => name === AUDIT_EXTENSION);
  if (extension === undefined || !message.dryRun) return undefined;
  const nested = extension.config && unpack(extension.config);
  if (nested === undefined) unreadable.note(`extension ${AUDIT_EXTENSION} holds no policy`);
  const reader = new RuleReader("audit", unreadable);
  const rules = nested?.rules.flatMap((rule) => reader.read(rule)) ?? NOTHING;
  return { action: "audit", rules, dryRun: nested?.dryRun ?? false };
}

function unpack(config: Parameters<typeof anyUnpack>[0]): wire.Authorization | undefined {
  try {
    return anyUnpack(config, wire.AuthorizationSchema);
  } catch {
    return undefined;
  }
}
