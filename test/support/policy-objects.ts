/** Istio's security policies as tests write them. */
import type {
  LabelSelector,
  MtlsMode,
  PolicyCondition,
  PolicyOperation,
  PolicyRule,
  PolicySource,
} from "#common/kubernetes/objects.ts";

export interface PolicyOptions {
  /** `policy` unless given. */
  readonly name?: string;
  /** `shop` unless given. */
  readonly namespace?: string;
  readonly matchLabels?: LabelSelector["matchLabels"];
  readonly annotations?: Readonly<Record<string, string>>;
  /** RFC 3339. */
  readonly creationTimestamp?: string;
}

export type AuthorizationAction = "ALLOW" | "DENY" | "AUDIT" | "CUSTOM";

/** Anything for `spec`, also what nobody should write. */
export function authorizationPolicy(spec: object, options: PolicyOptions = {}): object {
  return policyObject("AuthorizationPolicy", spec, options);
}

export function allow(rules: readonly PolicyRule[], options: PolicyOptions = {}): object {
  return authorizationPolicy({ action: "ALLOW", rules }, options);
}

export function deny(rules: readonly PolicyRule[], options: PolicyOptions = {}): object {
  return authorizationPolicy({ action: "DENY", rules }, options);
}

export interface PeerAuthenticationOptions extends PolicyOptions {
  readonly ports?: Readonly<Record<string, MtlsMode>>;
}

/** `mode` is absent from the object if it is undefined. */
export function peerAuthentication(
  mode: MtlsMode | undefined,
  options: PeerAuthenticationOptions = {},
): object {
  const portLevelMtls = Object.fromEntries(
    Object.entries(options.ports ?? {}).map(([port, portMode]) => [port, { mode: portMode }]),
  );
  const spec = {
    ...(mode === undefined ? {} : { mtls: { mode } }),
    ...(options.ports === undefined ? {} : { portLevelMtls }),
  };
  return policyObject("PeerAuthentication", spec, options);
}

/** The parts of a rule; those that are not given ask for nothing. */
export interface RuleParts {
  readonly source?: PolicySource;
  readonly operation?: PolicyOperation;
  readonly when?: PolicyCondition;
}

export function rule({ source, operation, when }: RuleParts): PolicyRule {
  return {
    ...(source && { from: [{ source }] }),
    ...(operation && { to: [{ operation }] }),
    ...(when && { when: [when] }),
  };
}

function policyObject(kind: string, spec: object, options: PolicyOptions): object {
  const { name = "policy", namespace = "shop", matchLabels, annotations } = options;
  const { creationTimestamp } = options;
  return {
    apiVersion: "security.istio.io/v1",
    kind,
    metadata: {
      name,
      namespace,
      ...(annotations && { annotations }),
      ...(creationTimestamp !== undefined && { creationTimestamp }),
    },
    spec: { ...(matchLabels && { selector: { matchLabels } }), ...spec },
  };
}
