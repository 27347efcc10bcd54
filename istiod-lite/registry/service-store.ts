/**
 * The Services of the cluster and the EndpointSlices of those without a selector, with their
 * indexes.
 */
import type { EndpointSlice, KubeService } from "#common/kubernetes/objects.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { LabelIndex, type Labels, selectorMatches } from "./label-index.ts";
import { addToSet, deleteFromSet } from "./multi-map.ts";
import { namespacedName } from "./pod-facts.ts";
import { isMeshService } from "./service-resource.ts";
import { sliceEndpoints, sliceService } from "./slice-workloads.ts";

const NONE: ReadonlySet<string> = new Set();

/** The selector, unless the service has none and its endpoints are written by hand. */
export function selectorOf(service: KubeService | undefined): Labels | undefined {
  const selector = service?.spec.selector ?? {};
  return Object.keys(selector).length === 0 ? undefined : selector;
}

/** Services and slices are known by `<namespace>/<name>`. */
export class ServiceStore {
  readonly #services = new Map<string, KubeService>();
  readonly #byNamespace = new Map<string, Set<string>>();
  readonly #selectors = new LabelIndex();
  readonly #slices = new Map<string, EndpointSlice>();
  readonly #slicesByService = new Map<string, Set<string>>();
  readonly #slicesByAddress = new Map<IpAddress, Set<string>>();

  get(key: string): KubeService | undefined {
    return this.#services.get(key);
  }

  inNamespace(namespace: string): ReadonlySet<string> {
    return this.#byNamespace.get(namespace) ?? NONE;
  }

  slice(key: string): EndpointSlice | undefined {
    return this.#slices.get(key);
  }

  slicesOf(service: string): ReadonlySet<string> {
    return this.#slicesByService.get(service) ?? NONE;
  }

  slicesAt(ip: IpAddress): ReadonlySet<string> {
    return this.#slicesByAddress.get(ip) ?? NONE;
  }

  /** The services of one namespace whose selector selects these labels. */
  selecting(namespace: string, labels: Labels): readonly KubeService[] {
    return [...this.#selectors.candidateSelectors(namespace, labels)].flatMap((key) => {
      const service = this.#services.get(key);
      const selector = selectorOf(service);
      const selects = selector !== undefined && selectorMatches(selector, labels);
      return service !== undefined && selects && isMeshService(service) ? [service] : [];
    });
  }

  /** The service whose endpoints a slice lists, if they are to be taken from slices. */
  serviceOfSlice(slice: EndpointSlice): KubeService | undefined {
    const service = this.#services.get(sliceService(slice) ?? "");
    if (service === undefined || !isMeshService(service)) return undefined;
    return selectorOf(service) === undefined ? service : undefined;
  }

  set(service: KubeService): void {
    const key = namespacedName(service);
    this.delete(key);
    this.#services.set(key, service);
    const { namespace = "default" } = service.metadata;
    addToSet(this.#byNamespace, namespace, key);
    const selector = selectorOf(service);
    if (selector !== undefined) this.#selectors.addSelector(namespace, key, selector);
  }

  delete(key: string): void {
    const service = this.#services.get(key);
    if (service === undefined) return;
    this.#services.delete(key);
    const { namespace = "default" } = service.metadata;
    deleteFromSet(this.#byNamespace, namespace, key);
    const selector = selectorOf(service);
    if (selector !== undefined) this.#selectors.removeSelector(namespace, key, selector);
  }

  setSlice(slice: EndpointSlice): void {
    const key = namespacedName(slice);
    this.deleteSlice(key);
    this.#slices.set(key, slice);
    const service = sliceService(slice);
    if (service !== undefined) addToSet(this.#slicesByService, service, key);
    for (const { ip } of sliceEndpoints(slice)) addToSet(this.#slicesByAddress, ip, key);
  }

  deleteSlice(key: string): void {
    const slice = this.#slices.get(key);
    if (slice === undefined) return;
    this.#slices.delete(key);
    const service = sliceService(slice);
    if (service !== undefined) deleteFromSet(this.#slicesByService, service, key);
    for (const { ip } of sliceEndpoints(slice)) deleteFromSet(this.#slicesByAddress, ip, key);
  }
}
