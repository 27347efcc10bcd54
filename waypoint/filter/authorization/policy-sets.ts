/**
 * The policies that hold for a request: the gateway's and its service's, each list compiled once,
 * for as long as its configuration lives.
 */
import type { Layer } from "#common/authorization/http/compile.ts";
import { HttpPolicySet, type Slices } from "#common/authorization/http/policy-set.ts";
import type { L7Authorization, L7Policies } from "#common/model/waypoint/policy.ts";
import type { GatewayConfig, ServiceConfig } from "#common/model/waypoint/resource.ts";

export class PolicySets {
  readonly #layer: Layer;
  readonly #compiled = new WeakMap<readonly L7Authorization[], HttpPolicySet>();

  constructor(layer: Layer) {
    this.#layer = layer;
  }

  /** Empty where there is no policy at all. */
  of(gateway: GatewayConfig, service: ServiceConfig | undefined): readonly HttpPolicySet[] {
    const sets: HttpPolicySet[] = [];
    for (const { policies } of service === undefined ? [gateway] : [gateway, service]) {
      if (policies.authorizations.length > 0) sets.push(this.#compile(policies.authorizations));
    }
    return sets;
  }

  /**
   * Resolves when `of` has nothing left to compile for these; until then others get their turn.
   */
  async prepare({ authorizations }: L7Policies, slices: Slices): Promise<void> {
    if (authorizations.length === 0 || this.#compiled.has(authorizations)) return;
    const set = await HttpPolicySet.compileInSlices(authorizations, this.#layer, slices);
    this.#compiled.set(authorizations, set);
  }

  #compile(policies: readonly L7Authorization[]): HttpPolicySet {
    let set = this.#compiled.get(policies);
    if (set === undefined) {
      set = HttpPolicySet.compile(policies, this.#layer);
      this.#compiled.set(policies, set);
    }
    return set;
  }
}
