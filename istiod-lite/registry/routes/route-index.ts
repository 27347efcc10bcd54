/** All routes, and which of them stand or fall with which service, namespace or host. */
import type { GatewayRoute } from "#common/kubernetes/objects.ts";
import { addToSet, deleteFromSet } from "../multi-map.ts";
import { createdMs } from "../pod-facts.ts";
import { referrerOf } from "./convert-route.ts";
import { backendReferences, backendTarget, hostKey, referenceKey } from "./reference-keys.ts";

const NOBODY: ReadonlySet<string> = new Set();

/** A route, and what places it among others. */
export interface Placed {
  readonly key: string;
  readonly route: GatewayRoute;
  readonly createdMs: number;
  /** `<namespace>/<name>`. */
  readonly fullName: string;
}

/** What one route hangs on. */
interface Ties {
  readonly parents: readonly string[];
  readonly backends: readonly string[];
  readonly hasHosts: boolean;
  /** Other namespaces that its backends are in, of which grants it needs. */
  readonly grants: readonly string[];
}

export class RouteIndex {
  readonly #routes = new Map<string, Placed>();
  /** By parent, where it has been asked for since it last changed. */
  readonly #ordered = new Map<string, readonly Placed[]>();
  readonly #ties = new Map<string, Ties>();
  readonly #byParent = new Map<string, Set<string>>();
  readonly #byBackend = new Map<string, Set<string>>();
  readonly #byHost = new Set<string>();
  readonly #byGrantNamespace = new Map<string, Set<string>>();

  get(key: string): GatewayRoute | undefined {
    return this.#routes.get(key)?.route;
  }

  set(key: string, route: GatewayRoute | undefined): void {
    const before = this.#ties.get(key);
    if (before !== undefined) this.#tie(key, before, false);
    if (route === undefined) {
      this.#routes.delete(key);
      this.#ties.delete(key);
      return;
    }
    const ties = tiesOf(route);
    this.#routes.set(key, placed(key, route));
    this.#ties.set(key, ties);
    this.#tie(key, ties, true);
  }

  /** Keys of the routes that name it as a parent (`Service/shop/web`). */
  withParent(parent: string): ReadonlySet<string> {
    return this.#byParent.get(parent) ?? NOBODY;
  }

  /** Keys of the routes that send requests there (`Service/shop/web`, `host/a.example`). */
  withBackend(backend: string): ReadonlySet<string> {
    return this.#byBackend.get(backend) ?? NOBODY;
  }

  /** Keys of the routes that may need a grant of this namespace. */
  acrossTo(namespace: string): ReadonlySet<string> {
    return this.#byGrantNamespace.get(namespace) ?? NOBODY;
  }

  /** Keys of the routes with a backend by its host name. */
  byHost(): Iterable<string> {
    return this.#byHost;
  }

  /** What a route names as its parents; empty when there is no such route. */
  parentsOf(key: string): readonly string[] {
    return this.#ties.get(key)?.parents ?? [];
  }

  /** Those that name it as a parent, the oldest first, then by namespace, name and kind. */
  inOrder(parent: string): readonly Placed[] {
    const known = this.#ordered.get(parent);
    if (known !== undefined) return known;
    const routes = [...this.withParent(parent)].flatMap((key) => this.#routes.get(key) ?? []);
    routes.sort(byPrecedence);
    this.#ordered.set(parent, routes);
    return routes;
  }

  #tie(key: string, ties: Ties, isTied: boolean): void {
    const change = isTied ? addToSet<string, string> : deleteFromSet<string, string>;
    for (const parent of ties.parents) {
      change(this.#byParent, parent, key);
      this.#ordered.delete(parent);
    }
    for (const backend of ties.backends) change(this.#byBackend, backend, key);
    for (const namespace of ties.grants) change(this.#byGrantNamespace, namespace, key);
    if (isTied && ties.hasHosts) this.#byHost.add(key);
    else this.#byHost.delete(key);
  }
}

function tiesOf(route: GatewayRoute): Ties {
  const { namespace, parents } = referrerOf(route);
  const backends = new Set<string>();
  const grants = new Set<string>();
  let hasHosts = false;
  for (const ref of backendReferences(route)) {
    const target = backendTarget(ref, namespace);
    if (target === undefined) continue;
    if ("host" in target) {
      hasHosts = true;
      backends.add(hostKey(target.host));
      continue;
    }
    backends.add(referenceKey(target));
    if (target.namespace !== namespace) grants.add(target.namespace);
  }
  const named = new Set(parents.map(referenceKey));
  return { parents: [...named], backends: [...backends], grants: [...grants], hasHosts };
}

function placed(key: string, route: GatewayRoute): Placed {
  const { metadata } = route;
  const fullName = `${metadata.namespace ?? "default"}/${metadata.name}`;
  return { key, route, createdMs: createdMs(route), fullName };
}

/** Source: HTTPRouteRule.matches, ties between routes. */
function byPrecedence(a: Placed, b: Placed): number {
  if (a.createdMs !== b.createdMs) return a.createdMs < b.createdMs ? -1 : 1;
  if (a.fullName !== b.fullName) return a.fullName < b.fullName ? -1 : 1;
  return a.key < b.key ? -1 : 1;
}
