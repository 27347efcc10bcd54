/** BackendTLSPolicies: which services a waypoint speaks TLS with, and whom it takes them for. */
import {
  type BackendTLSPolicy,
  type ConfigMap,
  type ObjectChange,
  objectKey,
} from "#common/kubernetes/objects.ts";
import type { PolicyTarget } from "#common/kubernetes/route-objects.ts";
import type { BackendConfig, TrafficPolicy } from "#common/model/waypoint/backend.ts";
import { addToSet, deleteFromSet } from "../multi-map.ts";
import { createdMs } from "../pod-facts.ts";
import type { ObjectStatus } from "../registry-update.ts";
import type {
  Affected,
  BackendContributor,
  Mesh,
  ServiceFacts,
} from "../waypoints/contributions.ts";
import { backendTlsStatus, type Rank } from "./backend-tls-status.ts";
import { CA_KEY, caCertificates } from "./ca-certificates.ts";
import { servicesOf } from "./parent-services.ts";
import { referenceKey, type ServiceReference, serviceKind } from "./reference-keys.ts";

type Parts = Partial<Pick<BackendConfig, "policy" | "portPolicies">>;

export class BackendTlsPolicies implements BackendContributor {
  readonly #policies = new Map<string, BackendTLSPolicy>();
  /** Keys of policies, by service (`Service/shop/web`) and by ConfigMap (`shop/ca`). */
  readonly #byTarget = new Map<string, Set<string>>();
  readonly #byConfigMap = new Map<string, Set<string>>();
  /** What every ConfigMap has under the key for certificates, by `<namespace>/<name>`. */
  readonly #certificates = new Map<string, string>();
  readonly #unsaid = new Set<string>();
  readonly #said = new Map<string, string>();

  apply({ key, kind, object }: ObjectChange, mesh: Mesh): Affected {
    switch (kind) {
      // An object is of the kind that its change says.
      case "BackendTLSPolicy":
        return this.#applyPolicy(key, object as BackendTLSPolicy | undefined, mesh);
      case "ConfigMap":
        return this.#applyConfigMap(key, object as ConfigMap | undefined, mesh);
      case "Service":
      case "ServiceEntry":
        for (const policy of this.#byTarget.get(key) ?? []) this.#unsaid.add(policy);
        return "none";
      default:
        return "none";
    }
  }

  /** The same for clients of every namespace: it is the service's owner who says how it is met. */
  backendOf(service: ServiceFacts): Parts | undefined {
    const whole = this.#winner(service, undefined);
    const portPolicies: Record<string, TrafficPolicy> = {};
    for (const { port, name } of service.ports) {
      const policy = name === "" ? undefined : this.#winner(service, name);
      if (policy !== undefined) portPolicies[port] = this.#tlsOf(policy);
    }
    const hasPorts = Object.keys(portPolicies).length > 0;
    if (whole === undefined && !hasPorts) return undefined;
    return {
      ...(whole !== undefined && { policy: this.#tlsOf(whole) }),
      ...(hasPorts && { portPolicies }),
    };
  }

  takeStatuses(mesh: Mesh): readonly ObjectStatus[] {
    const keys = [...this.#unsaid].sort();
    this.#unsaid.clear();
    return keys.flatMap((key) => {
      const policy = this.#policies.get(key);
      if (policy === undefined) return [];
      const rank: Rank = (target, section) => {
        const winner = this.#winner(target, section);
        return winner === undefined || objectKey(winner) === key ? undefined : winner;
      };
      const trust = caCertificates(policy, this.#configMap);
      const status = backendTlsStatus(policy, trust, mesh, rank);
      const content = JSON.stringify(status);
      if (status === undefined || this.#said.get(key) === content) return [];
      this.#said.set(key, content);
      return [status];
    });
  }

  #applyPolicy(key: string, policy: BackendTLSPolicy | undefined, mesh: Mesh): Affected {
    const before = this.#policies.get(key);
    const targets = new Set<string>();
    for (const known of [before, policy]) {
      if (known === undefined) continue;
      const change = known === policy ? addToSet<string, string> : deleteFromSet<string, string>;
      for (const target of targetsOf(known)) {
        change(this.#byTarget, referenceKey(target), key);
        targets.add(referenceKey(target));
      }
      for (const configMap of configMapsOf(known)) change(this.#byConfigMap, configMap, key);
    }
    if (policy === undefined) {
      this.#policies.delete(key);
      this.#said.delete(key);
    } else this.#policies.set(key, policy);
    this.#unsaid.add(key);
    // Which policy is in force hangs on the others.
    for (const target of targets) {
      for (const other of this.#byTarget.get(target) ?? []) this.#unsaid.add(other);
    }
    if (before !== undefined && policy !== undefined && isSame(before, policy)) return "none";
    return servicesOf(targets, mesh);
  }

  #applyConfigMap(key: string, configMap: ConfigMap | undefined, mesh: Mesh): Affected {
    const name = key.slice("ConfigMap/".length);
    const text = configMap === undefined ? undefined : (configMap.data?.[CA_KEY] ?? "");
    if (this.#certificates.get(name) === text) return "none";
    if (text === undefined) this.#certificates.delete(name);
    else this.#certificates.set(name, text);
    const targets = new Set<string>();
    for (const policy of this.#byConfigMap.get(name) ?? []) {
      this.#unsaid.add(policy);
      const known = this.#policies.get(policy);
      if (known === undefined) continue;
      for (const target of targetsOf(known)) targets.add(referenceKey(target));
    }
    return servicesOf(targets, mesh);
  }

  readonly #configMap = (key: string): string | undefined => this.#certificates.get(key);

  /** Of those that name the same part of a service: the oldest, then the first by its name. */
  #winner(service: ServiceReference, section: string | undefined): BackendTLSPolicy | undefined {
    let best: BackendTLSPolicy | undefined;
    for (const key of this.#byTarget.get(referenceKey(service)) ?? []) {
      const policy = this.#policies.get(key);
      if (policy === undefined || !names(policy, service, section)) continue;
      if (best === undefined || isBefore(policy, best)) best = policy;
    }
    return best;
  }

  #tlsOf(policy: BackendTLSPolicy): TrafficPolicy {
    const { hostname, subjectAltNames = [] } = policy.spec.validation;
    const { pem } = caCertificates(policy, this.#configMap);
    return {
      tls: {
        mode: "simple",
        sni: hostname,
        ...(pem !== undefined && { caCertificates: pem }),
        subjectAltNames: subjectAltNames.flatMap(({ hostname: name, uri }) => name ?? uri ?? []),
        insecureSkipVerify: false,
      },
    };
  }
}

/** A change of the status alone is none of what the policy does. */
function isSame(before: BackendTLSPolicy, after: BackendTLSPolicy): boolean {
  if (before.metadata.creationTimestamp !== after.metadata.creationTimestamp) return false;
  return before.spec === after.spec || JSON.stringify(before.spec) === JSON.stringify(after.spec);
}

function isBefore(a: BackendTLSPolicy, b: BackendTLSPolicy): boolean {
  const [older, younger] = [createdMs(a), createdMs(b)];
  return older === younger ? a.metadata.name < b.metadata.name : older < younger;
}

function names(
  policy: BackendTLSPolicy,
  service: ServiceReference,
  section: string | undefined,
): boolean {
  return policy.spec.targetRefs.some((ref) => {
    const target = targetOf(policy, ref);
    const isService = target !== undefined && referenceKey(target) === referenceKey(service);
    return isService && ref.sectionName === section;
  });
}

function targetOf(
  { metadata }: BackendTLSPolicy,
  { group, kind, name }: PolicyTarget,
): ServiceReference | undefined {
  const known = serviceKind(group, kind);
  if (known === undefined) return undefined;
  return { kind: known, namespace: metadata.namespace ?? "default", name };
}

function targetsOf(policy: BackendTLSPolicy): readonly ServiceReference[] {
  return policy.spec.targetRefs.flatMap((ref) => targetOf(policy, ref) ?? []);
}

function configMapsOf({ metadata, spec }: BackendTLSPolicy): readonly string[] {
  const { namespace = "default" } = metadata;
  return (spec.validation.caCertificateRefs ?? []).map(({ name }) => `${namespace}/${name}`);
}
