/** Istio's security policies in the API's own JSON shape; `objects.ts` exports them too. */
import type { Base, Condition, LabelSelector } from "#common/kubernetes/objects.ts";

export interface PolicySource {
  readonly principals?: readonly string[];
  readonly notPrincipals?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly notNamespaces?: readonly string[];
  readonly serviceAccounts?: readonly string[];
  readonly notServiceAccounts?: readonly string[];
  readonly ipBlocks?: readonly string[];
  readonly notIpBlocks?: readonly string[];
  readonly requestPrincipals?: readonly string[];
  readonly notRequestPrincipals?: readonly string[];
  readonly remoteIpBlocks?: readonly string[];
  readonly notRemoteIpBlocks?: readonly string[];
}

export interface PolicyOperation {
  readonly ports?: readonly string[];
  readonly notPorts?: readonly string[];
  readonly hosts?: readonly string[];
  readonly notHosts?: readonly string[];
  readonly methods?: readonly string[];
  readonly notMethods?: readonly string[];
  readonly paths?: readonly string[];
  readonly notPaths?: readonly string[];
}

export interface PolicyCondition {
  readonly key: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
}

export interface PolicyRule {
  readonly from?: readonly { readonly source?: PolicySource }[];
  readonly to?: readonly { readonly operation?: PolicyOperation }[];
  readonly when?: readonly PolicyCondition[];
}

export interface PolicyTargetRef {
  readonly group?: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface AuthorizationPolicy
  extends Base<"security.istio.io/v1" | "security.istio.io/v1beta1", "AuthorizationPolicy"> {
  readonly spec?: {
    readonly selector?: LabelSelector;
    readonly targetRef?: PolicyTargetRef;
    readonly targetRefs?: readonly PolicyTargetRef[];
    readonly rules?: readonly PolicyRule[];
    /** ALLOW unless said otherwise. */
    readonly action?: "ALLOW" | "DENY" | "AUDIT" | "CUSTOM";
    /** Of CUSTOM: one of MeshConfig's extensionProviders. */
    readonly provider?: { readonly name: string };
  };
  readonly status?: { readonly conditions?: readonly Condition[] };
}

export type MtlsMode = "UNSET" | "DISABLE" | "PERMISSIVE" | "STRICT";

export interface PeerAuthentication
  extends Base<"security.istio.io/v1" | "security.istio.io/v1beta1", "PeerAuthentication"> {
  readonly spec?: {
    readonly selector?: LabelSelector;
    readonly mtls?: { readonly mode?: MtlsMode };
    /** By container port. */
    readonly portLevelMtls?: Readonly<Record<string, { readonly mode?: MtlsMode }>>;
  };
}
