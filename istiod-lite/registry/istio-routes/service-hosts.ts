/** Which objects have which hosts, so that what names a host finds its services. */
import type { ObjectChange } from "#common/kubernetes/objects.ts";
import type { Mesh, ServiceFacts } from "../waypoints/contributions.ts";
import { HostKeys } from "./hosts.ts";

/** Objects are keyed `<Kind>/<namespace>/<name>`. */
export class ServiceHosts {
  readonly #clusterDomain: string;
  readonly #hosts = new HostKeys();

  constructor(clusterDomain: string) {
    this.#clusterDomain = clusterDomain;
  }

  /** The hosts that a Service or ServiceEntry has had or has now; none for other kinds. */
  apply({ kind, key, object }: ObjectChange): readonly string[] {
    if (kind === "Service") {
      const [, namespace = "", name = ""] = key.split("/");
      const host = `${name}.${namespace}.svc.${this.#clusterDomain}`;
      return this.#hosts.set(key, object === undefined ? [] : [host]);
    }
    if (kind !== "ServiceEntry") return [];
    return this.#hosts.set(key, object?.kind === "ServiceEntry" ? object.spec.hosts : []);
  }

  hostsOf(object: string): readonly string[] {
    return this.#hosts.hostsOf(object);
  }

  hostsCovered(pattern: string): Iterable<string> {
    return this.#hosts.covered(pattern);
  }

  /** `<namespace>/<hostname>` of whatever the pattern covers. */
  *serviceKeys(pattern: string): Iterable<string> {
    for (const host of this.#hosts.covered(pattern)) {
      for (const object of this.#hosts.at(host)) yield `${object.split("/")[1]}/${host}`;
    }
  }

  /** Whose host it is for one namespace: its own, a Service's, else the first entry's. */
  owner(host: string, namespace: string, mesh: Mesh): ServiceFacts | undefined {
    const owners = [...this.#hosts.at(host)].sort(byKindAndKey(namespace));
    for (const object of owners) {
      const facts = mesh.service(object.split("/")[1] ?? "", host);
      if (facts !== undefined) return facts;
    }
    return undefined;
  }
}

function byKindAndKey(namespace: string): (a: string, b: string) => number {
  const rank = (object: string): string => {
    const isOwn = object.split("/")[1] === namespace;
    return `${isOwn ? 0 : 1}/${object}`;
  };
  return (a, b) => (rank(a) < rank(b) ? -1 : 1);
}
