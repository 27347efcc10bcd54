/**
 * Enforced traversal: a policy that makes the destination's ztunnel refuse whatever does not come
 * from the workload's waypoint. It is an ordinary DENY policy: ztunnel knows nothing of waypoints.
 */
import type { Pod } from "#common/kubernetes/objects.ts";
import { type Authorization, EMPTY_MATCH, policyKey } from "#common/model/authorization.ts";
import { encodeAuthorization } from "#common/xds/encode-authorization.ts";
import { AUTHORIZATION_TYPE } from "#common/xds/type-urls.ts";
import { addToSet, deleteFromSet } from "../multi-map.ts";
import { namespacedName } from "../pod-facts.ts";
import type { RegistryOptions } from "../registry-options.ts";
import type { ResourceTable } from "../resource-table.ts";
import type { Stores } from "../stores.ts";

/** How the names of such policies begin. No object has such a name: colons are for none. */
const NAME_PREFIX = "enforce-waypoint:";

interface Enforced {
  readonly namespace: string;
  /** `<namespace>/<name>`, sorted. */
  readonly waypoints: readonly string[];
}

interface EnforcementDeps {
  readonly stores: Stores;
  readonly table: ResourceTable;
}

export class EnforcementPolicies {
  readonly #trustDomain: string;
  readonly #deps: EnforcementDeps;
  /** By policy: the pods that it holds for. */
  readonly #pods = new Map<string, Set<string>>();
  readonly #byPod = new Map<string, string>();
  readonly #policies = new Map<string, Enforced>();

  constructor(options: Pick<RegistryOptions, "trustDomain">, deps: EnforcementDeps) {
    this.#trustDomain = options.trustDomain;
    this.#deps = deps;
  }

  /** The keys of the policies that hold for the pod, as a member of these services. */
  of(pod: Pod, services: readonly string[]): readonly string[] {
    const { bindings, claims } = this.#deps.stores;
    const { namespace = "default" } = pod.metadata;
    const pods = `Pod/${namespacedName(pod)}`;
    const owners = services.flatMap((key) => {
      const [place = "", host = ""] = key.split("/");
      return claims.holder(place, host)?.key ?? [];
    });
    const enforced = [pods, ...owners].map((key) => bindings.of(key)).filter((b) => b.enforced);
    const waypoints = [...new Set(enforced.flatMap(({ named }) => named))].sort();
    this.release(namespacedName(pod));
    if (waypoints.length === 0) return [];
    const policy = this.#policy({ namespace, waypoints });
    const key = policyKey(policy);
    if (!this.#policies.has(key)) {
      this.#policies.set(key, { namespace, waypoints });
      this.#publish(policy);
    }
    addToSet(this.#pods, key, namespacedName(pod));
    this.#byPod.set(namespacedName(pod), key);
    return [key];
  }

  /** The pod (`<namespace>/<name>`) is gone, or its policy is to be decided anew. */
  release(pod: string): void {
    const key = this.#byPod.get(pod);
    if (key === undefined) return;
    this.#byPod.delete(pod);
    deleteFromSet(this.#pods, key, pod);
  }

  /** After a batch: what nobody needs any more goes, and who waypoints are is said anew. */
  settle(changedWaypoints: ReadonlySet<string>): void {
    for (const [key, enforced] of this.#policies) {
      if (!this.#pods.has(key)) {
        this.#policies.delete(key);
        this.#deps.table.delete(AUTHORIZATION_TYPE, key);
      } else if (enforced.waypoints.some((waypoint) => changedWaypoints.has(waypoint))) {
        this.#publish(this.#policy(enforced));
      }
    }
  }

  #publish(policy: Authorization): void {
    const value = encodeAuthorization(policy);
    const name = policyKey(policy);
    this.#deps.table.set({ typeUrl: AUTHORIZATION_TYPE, name, aliases: [], value });
  }

  #policy({ namespace, waypoints }: Enforced): Authorization {
    const accounts = new Set(waypoints.flatMap((waypoint) => this.#identities(waypoint)));
    const notPrincipals = [...accounts].sort().map((account) => {
      const [place, serviceAccount] = account.split("/");
      const value = `${this.#trustDomain}/ns/${place}/sa/${serviceAccount}`;
      return { kind: "exact", value } as const;
    });
    return {
      name: `${NAME_PREFIX}${waypoints.join(",").replaceAll("/", ".")}`,
      namespace,
      scope: "workload-selector",
      action: "deny",
      rules: [{ clauses: [{ matches: [{ ...EMPTY_MATCH, notPrincipals }] }] }],
      dryRun: false,
    };
  }

  /** Of a waypoint that is not there: whom it would run as. */
  #identities(waypoint: string): readonly string[] {
    return this.#deps.stores.gateways.waypoint(waypoint)?.identities ?? [waypoint];
  }
}
