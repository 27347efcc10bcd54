/**
 * Variables of Istio's ztunnel that have no effect here. Nobody should find that out by an
 * incident: what is merely absent is named in a warning at start; what would be less safe without
 * its effect (a stricter cipher policy that is not applied, say) is refused. Source of the names:
 * istio/ztunnel src/config.rs, src/tls/lib.rs.
 */

import type { Environment } from "#common/config/environment.ts";
import { MeshError } from "#common/runtime/errors.ts";

interface Variable {
  readonly name: string;
  /** A value that asks for what this program does anyway. */
  readonly harmless?: RegExp;
  readonly why: string;
}

const DANGEROUS: readonly Variable[] = [
  {
    name: "FAKE_CA",
    harmless: /^false$/,
    why: "certificates of a CA whose key is public prove nothing; unset it, set CA_ADDRESS",
  },
  {
    name: "CA_ADDRESS",
    harmless: /./,
    why: "without a CA there is no mutual TLS; unset it for istiod's own address",
  },
  {
    name: "PROXY_MODE",
    harmless: /^shared$/,
    why: "this program serves the pods of a node; it does not run inside one pod (dedicated)",
  },
  {
    name: "COMPLIANCE_POLICY",
    harmless: /^$/,
    why: "its cipher policy would not be applied; unset it if you do not need it",
  },
  {
    name: "TLS12_ENABLED",
    harmless: /^false$/,
    why: "between proxies it is TLS 1.3 or nothing; unset it",
  },
  {
    name: "PACKET_MARK",
    harmless: /^(1337|0x539)$/,
    why: "the capture rules know ztunnel's packets by the mark 0x539 (1337); unset it",
  },
  {
    name: "ENABLE_PROXY",
    harmless: /^true$/,
    why: "a ztunnel that proxies nothing would leave captured pods without a network; unset it",
  },
];

const WITHOUT_EFFECT: readonly Variable[] = [
  {
    name: "UNSTABLE_ENABLE_SOCKS5",
    harmless: /^false$/,
    why: "there is no SOCKS5 listener on 15080",
  },
  {
    name: "INPOD_PORT_REUSE",
    harmless: /^true$/,
    why: "listeners always share their ports, so that a new ztunnel can start beside the old one",
  },
  {
    name: "LOCALHOST_APP_TUNNEL",
    harmless: /^true$/,
    why: "application tunnels (PROXY protocol) are not supported",
  },
  {
    name: "ENABLE_RESPONSE_BAGGAGE",
    harmless: /^true$/,
    why: "answers to CONNECT always carry the destination's baggage",
  },
  {
    name: "AUTHZ_POLICY_INFO_LOGGING",
    harmless: /^false$/,
    why: "a refused connection always has its policy and rule in its access log line",
  },
];

/** Throws MeshError CONFIG_INVALID for a setting that promises what this program does not do. */
export function refuseDangerous(env: Environment): void {
  const found = DANGEROUS.find((variable) => isAsked(env, variable));
  if (found === undefined) return;
  const { name, why } = found;
  throw new MeshError("CONFIG_INVALID", `${name}=${env[name]} is not supported`, { hint: why });
}

/** One sentence for each setting without effect, and for the unsupported parts of PROXY_CONFIG. */
export function unsupportedVariables(
  env: Environment,
  proxyConfigFields: readonly string[],
): string[] {
  const variables = WITHOUT_EFFECT.filter((variable) => isAsked(env, variable)).map(
    ({ name, why }) => `${name}=${env[name]} has no effect: ${why}`,
  );
  const fields = proxyConfigFields.map((name) => `PROXY_CONFIG's ${name} has no effect`);
  return [...variables, ...fields];
}

function isAsked(env: Environment, { name, harmless }: Variable): boolean {
  const value = env[name];
  return (
    value !== undefined && harmless?.test(value) !== true && (value !== "" || name === "CA_ADDRESS")
  );
}
