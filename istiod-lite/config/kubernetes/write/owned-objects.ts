/**
 * Brings about what Gateways want to run, by server-side apply: what people set in fields of their
 * own stays. Objects that are not ours are neither changed nor deleted, whatever they are called.
 */

import {
  applyObject,
  deleteObject,
  getObject,
  isConflict,
  isNotFound,
} from "#common/kube-client/apply.ts";
import { KubeApiError, type KubeClient } from "#common/kube-client/kube-client.ts";
import { listAll, METADATA_ONLY } from "#common/kube-client/list-collection.ts";
import { collectionPath } from "#common/kube-client/resources.ts";
import { objectKey } from "#common/kubernetes/objects.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { isTerminating } from "#istiod-lite/config/kubernetes/write/event-recorder.ts";
import type { StoredObject } from "#istiod-lite/config/kubernetes/write/stored-object.ts";
import type { OwnedObject, OwnedObjectsWriter } from "#istiod-lite/config/source.ts";

const KINDS = [
  "ServiceAccount",
  "Deployment",
  "Service",
  "PodDisruptionBudget",
  "HorizontalPodAutoscaler",
] as const;

/** On everything that runs a Gateway. Source: Gateway API's well-known labels, Istio's template. */
const GATEWAY_NAME_LABEL = "gateway.networking.k8s.io/gateway-name";
const MANAGED_LABEL = "gateway.istio.io/managed";
const MANAGED_BY_US = "istio.io-mesh-controller";

export interface KubernetesOwnedObjectsDeps {
  readonly client: KubeClient;
  readonly logger: Logger;
  /** Another one for each revision: none takes away what another one made. */
  readonly fieldManager: string;
}

/** Of an object that was made here: enough to take it away again, and no other of its name. */
interface Made {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | undefined;
}

export class KubernetesOwnedObjects implements OwnedObjectsWriter {
  readonly #deps: KubernetesOwnedObjectsDeps;
  /** By owner, then by object. */
  readonly #made = new Map<string, Map<string, Made>>();
  /** Objects in our way, told once each. */
  readonly #inTheWay = new Set<string>();

  constructor(deps: KubernetesOwnedObjectsDeps) {
    this.#deps = deps;
  }

  async apply(owner: string, objects: readonly OwnedObject[]): Promise<void> {
    const made = this.#made.get(owner) ?? new Map<string, Made>();
    this.#made.set(owner, made);
    const wanted = new Set(objects.map(objectKey));
    for (const object of objects) {
      const stored = await this.#apply(object);
      if (stored !== undefined) made.set(objectKey(object), madeOf(object.kind, stored));
    }
    for (const [key, each] of made) {
      if (wanted.has(key)) continue;
      await this.#delete(owner, each);
      made.delete(key);
    }
    if (made.size === 0) this.#made.delete(owner);
  }

  async keepOnly(owners: ReadonlySet<string>): Promise<void> {
    for (const kind of KINDS) {
      for (const object of await this.#list(kind)) {
        const reference = object.metadata.ownerReferences?.find((each) => each.kind === "Gateway");
        if (reference === undefined || !this.#isManagedByUs(object)) continue;
        const { namespace = "", name } = object.metadata;
        const owner = `Gateway/${namespace}/${reference.name}`;
        const each = madeOf(kind, object);
        if (!owners.has(owner)) await this.#delete(owner, each);
        else {
          const made = this.#made.get(owner) ?? new Map<string, Made>();
          this.#made.set(owner, made.set(`${kind}/${namespace}/${name}`, each));
        }
      }
    }
  }

  /** The object as it is now; undefined where it could not be ours. */
  async #apply(object: OwnedObject): Promise<StoredObject | undefined> {
    const { kind, metadata } = object;
    const reference = { ...metadata, kind };
    const present = await getObject<StoredObject>(this.#deps.client, reference);
    if (present !== undefined && !this.#isOurs(present, object)) {
      this.#tellInTheWay(objectKey(object));
      return undefined;
    }
    this.#inTheWay.delete(objectKey(object));
    try {
      const { fieldManager } = this.#deps;
      return (await applyObject(this.#deps.client, object, fieldManager)) as StoredObject;
    } catch (error) {
      // The namespace, and with it whoever wants the object, is going.
      if (isNotFound(error) || isTerminating(error)) return undefined;
      throw failed(objectKey(object), error);
    }
  }

  /** As Istio sees it: what carries the label of this controller may be changed by it. */
  #isOurs(present: StoredObject, wanted: OwnedObject): boolean {
    if (present.metadata.labels?.[MANAGED_LABEL] === MANAGED_BY_US) return true;
    if (this.#isManagedByUs(present)) return true;
    const owners = new Set(wanted.metadata.ownerReferences?.flatMap(({ uid }) => uid ?? []));
    return (present.metadata.ownerReferences ?? []).some(({ uid = "" }) => owners.has(uid));
  }

  #isManagedByUs({ metadata }: StoredObject): boolean {
    const { fieldManager } = this.#deps;
    return (metadata.managedFields ?? []).some(
      ({ manager, operation }) => manager === fieldManager && operation === "Apply",
    );
  }

  #tellInTheWay(object: string): void {
    if (this.#inTheWay.has(object)) return;
    this.#inTheWay.add(object);
    const hint = object.startsWith("ServiceAccount/")
      ? "it is used as it is"
      : "delete it, or name the Gateway otherwise (annotation gateway.istio.io/name-override)";
    this.#deps.logger.warn("an object of this name is somebody else's", { object, hint });
  }

  async #delete(owner: string, made: Made): Promise<void> {
    const { client, logger } = this.#deps;
    try {
      const { uid } = made;
      if (await deleteObject(client, made, { uid })) {
        logger.info("object taken away", { owner, object: objectKey({ ...made, metadata: made }) });
      }
    } catch (error) {
      // Another one of its name has come: that is not the one.
      if (!isConflict(error)) throw error;
    }
  }

  #list(kind: string): Promise<readonly StoredObject[]> {
    const collection = { path: collectionPath(kind), labelSelector: GATEWAY_NAME_LABEL };
    return listAll(this.#deps.client, { ...collection, accept: METADATA_ONLY });
  }
}

function madeOf(kind: string, { metadata }: StoredObject): Made {
  return { kind, namespace: metadata.namespace ?? "", name: metadata.name, uid: metadata.uid };
}

function failed(object: string, cause: unknown): unknown {
  if (!(cause instanceof KubeApiError)) return cause;
  const hint = "the API server says why; look at what is set for the Gateway (parametersRef)";
  return new MeshError("OWNED_WRITE_FAILED", `${object} was not brought about`, { cause, hint });
}
