/** DestinationRules: which of them holds for a service, for whom. */
import type { DestinationRule } from "#common/kubernetes/istio-route-objects.ts";
import type { ObjectChange } from "#common/kubernetes/objects.ts";
import type { BackendConfig } from "#common/model/waypoint/backend.ts";
import { namespacedName } from "../pod-facts.ts";
import type { ObjectStatus } from "../registry-update.ts";
import type {
  Affected,
  BackendContributor,
  Mesh,
  ServiceFacts,
} from "../waypoints/contributions.ts";
import { byAge, isSame } from "./by-age.ts";
import { fullHost, HostKeys, isExportedTo } from "./hosts.ts";
import { SERVICES_LOOKED_AT } from "./limits.ts";
import { mergeRules } from "./merge-rules.ts";
import { Remarks } from "./remarks.ts";
import { ServiceHosts } from "./service-hosts.ts";
import { istioStatus, type Outcome, SaidStatuses } from "./status.ts";

export interface IstioOptions {
  readonly clusterDomain: string;
  readonly rootNamespace: string;
}

type Parts = Partial<Pick<BackendConfig, "policy" | "portPolicies" | "subsets">>;

export class DestinationRules implements BackendContributor {
  readonly #options: IstioOptions;
  readonly #rules = new Map<string, DestinationRule>();
  readonly #keys = new HostKeys();
  readonly #services: ServiceHosts;
  readonly #unsaid = new Set<string>();
  readonly #said = new SaidStatuses();

  constructor(options: IstioOptions) {
    this.#options = options;
    this.#services = new ServiceHosts(options.clusterDomain);
  }

  apply(change: ObjectChange): Affected {
    const { key, kind, object } = change;
    if (kind !== "DestinationRule") {
      for (const host of this.#services.apply(change)) this.#unsayFor(host);
      return "none";
    }
    const rule = object?.kind === kind ? object : undefined;
    const before = this.#rules.get(key);
    this.#unsaid.add(key);
    if (rule !== undefined) this.#rules.set(key, rule);
    else {
      this.#rules.delete(key);
      this.#said.forget(key);
    }
    if (isSame(before, rule)) return "none";
    const hosts = this.#keys.set(key, rule === undefined ? [] : [this.#hostOf(rule)]);
    const affected = new Set<string>();
    for (const host of hosts) {
      for (const service of this.#services.serviceKeys(host)) affected.add(service);
      for (const covered of this.#services.hostsCovered(host)) this.#unsayFor(covered);
    }
    return affected.size === 0 ? "none" : affected;
  }

  backendOf(service: ServiceFacts, clientNamespace: string, mesh: Mesh): Parts | undefined {
    const rules = this.#rulesFor(service, clientNamespace);
    if (rules.length === 0) return undefined;
    return mergeRules(rules, (labels) => mesh.workloads(service, labels));
  }

  /** Names of the subsets that a client of the namespace can send to. */
  subsetsOf(service: ServiceFacts, clientNamespace: string): ReadonlySet<string> {
    const rules = this.#rulesFor(service, clientNamespace);
    return new Set(rules.flatMap(({ spec }) => (spec.subsets ?? []).map(({ name }) => name)));
  }

  takeStatuses(mesh: Mesh): readonly ObjectStatus[] {
    const keys = [...this.#unsaid].sort();
    this.#unsaid.clear();
    return keys.flatMap((key) => {
      const rule = this.#rules.get(key);
      if (rule === undefined) return [];
      return this.#said.news(key, istioStatus(rule, this.#outcome(rule, mesh)));
    });
  }

  /**
   * Of the client's namespace, else the service's, else the root namespace: those whose host says
   * it best, the oldest first. Source: Istio, PushContext.destinationRule.
   */
  #rulesFor(service: ServiceFacts, clientNamespace: string): readonly DestinationRule[] {
    const { rootNamespace } = this.#options;
    const patterns = this.#keys.patternsFor(service.hostname);
    // What is said of everybody in the root namespace is not its own clients' before the service's.
    const own = clientNamespace === rootNamespace ? [] : [clientNamespace];
    for (const namespace of new Set([...own, service.namespace, rootNamespace])) {
      for (const pattern of patterns) {
        const rules = [...this.#keys.at(pattern)].flatMap((key) => this.#rules.get(key) ?? []);
        const eligible = rules.filter(
          ({ metadata, spec }) =>
            (metadata.namespace ?? "default") === namespace &&
            spec.workloadSelector === undefined &&
            isExportedTo(spec.exportTo, namespace, clientNamespace),
        );
        if (eligible.length > 0) return eligible.sort(byAge);
      }
    }
    return [];
  }

  #hostOf({ metadata, spec }: DestinationRule): string {
    return fullHost(spec.host, metadata.namespace ?? "default", this.#options.clusterDomain);
  }

  /** What is said of the host's rules may be something else now. */
  #unsayFor(host: string): void {
    for (const pattern of this.#keys.patternsFor(host)) {
      for (const key of this.#keys.at(pattern)) this.#unsaid.add(key);
    }
  }

  #outcome(rule: DestinationRule, mesh: Mesh): Outcome {
    const host = this.#hostOf(rule);
    if (rule.spec.workloadSelector !== undefined) {
      const message = "workloadSelector: is not supported: the rule is in force for nobody";
      return { inForce: undefined, remarks: [message] };
    }
    // In one order, whichever was there first: a status must not depend on what came before it.
    const services = [...this.#services.serviceKeys(host)].sort().slice(0, SERVICES_LOOKED_AT);
    if (services.length === 0) {
      return { inForce: undefined, remarks: [`host: there is no host ${host}`] };
    }
    const remarks = new Remarks();
    mergeRules([rule], () => [], remarks);
    for (const service of services) this.#rivals(rule, service, mesh, remarks);
    return { inForce: `In force for ${host} where waypoints lead to it`, remarks: remarks.all };
  }

  /** Who else speaks of the service, to clients of the rule's own namespace. */
  #rivals(rule: DestinationRule, service: string, mesh: Mesh, remarks: Remarks): void {
    const slash = service.indexOf("/");
    const facts = mesh.service(service.slice(0, slash), service.slice(slash + 1));
    if (facts === undefined) return;
    const { namespace = "default" } = rule.metadata;
    const rules = this.#rulesFor(facts, namespace);
    const [first] = rules;
    if (first === undefined || first === rule) return;
    const name = `DestinationRule ${namespacedName(first)}`;
    if (!rules.includes(rule)) {
      remarks.add("host", `${name} is in force for ${facts.hostname} instead`);
      return;
    }
    const older = rules.slice(0, rules.indexOf(rule));
    if (rule.spec.trafficPolicy && older.some(({ spec }) => spec.trafficPolicy !== undefined)) {
      remarks.add("trafficPolicy", `an older rule for the host has one: see ${name}`);
    }
    const taken = new Set(
      older.flatMap(({ spec }) => (spec.subsets ?? []).map((each) => each.name)),
    );
    for (const [index, subset] of (rule.spec.subsets ?? []).entries()) {
      if (!taken.has(subset.name)) continue;
      remarks.add(`subsets[${index}].name`, `an older rule for the host has it: see ${name}`);
    }
  }
}
