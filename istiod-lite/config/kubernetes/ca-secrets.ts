/**
 * The CA of a cluster: the Secret `cacerts` where somebody has plugged one in, else the Secret
 * `istio-ca-secret`, a root of our own that the first replica makes and nobody ever overwrites.
 * Names, keys and type are Istio's, so that an istiod finds there what it would have made.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { getObject, isConflict } from "#common/kube-client/apply.ts";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { collectionPath } from "#common/kube-client/resources.ts";
import { Backoff } from "#common/runtime/backoff.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import {
  type CaStore,
  type NamedPem,
  ownRootMaterial,
  pluggedInMaterial,
} from "#istiod-lite/ca/ca-material.ts";
import {
  type CertificateAuthorityMaterial,
  makeRoot,
} from "#istiod-lite/ca/certificate-authority.ts";
import {
  CA_SECRET_CHECK_MS,
  CA_SECRET_RETRY_INITIAL_MS,
  CA_SECRET_RETRY_MAX_MS,
} from "#istiod-lite/config/kubernetes/limits.ts";
import type { StoredObject } from "#istiod-lite/config/kubernetes/write/stored-object.ts";

/** Source: Istio's security/pkg/pki/ca. */
export const PLUGGED_IN_SECRET = "cacerts";
export const OWN_ROOT_SECRET = "istio-ca-secret";
const OWN_ROOT_TYPE = "istio.io/ca-root";

export interface CaSecretsOptions {
  readonly namespace: string;
  /** The organization in the subject of a root that is made here. */
  readonly trustDomain: string;
}

export interface CaSecretsDeps {
  readonly client: KubeClient;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch; default Date.now. */
  readonly now?: () => number;
}

interface Secret extends StoredObject {
  readonly data?: Readonly<Record<string, string>>;
}

export class CaSecrets implements CaStore {
  readonly checkIntervalMs = CA_SECRET_CHECK_MS;
  readonly #options: CaSecretsOptions;
  readonly #deps: CaSecretsDeps;
  readonly #now: () => number;
  /** As they were read last. */
  #secret: Secret | undefined;
  #stamp = "";

  constructor(options: CaSecretsOptions, deps: CaSecretsDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#now = deps.now ?? Date.now;
  }

  get place(): string {
    return this.#named(this.#secret?.metadata.name ?? OWN_ROOT_SECRET);
  }

  /** An API server that does not answer says nothing about the CA. */
  async stamp(): Promise<string> {
    try {
      await this.#read();
    } catch (error) {
      this.#deps.logger.debug("the CA's Secrets cannot be read", { why: describeError(error) });
    }
    return this.#stamp;
  }

  /** Waits for the API server: without a CA there is nothing to do meanwhile. */
  async load(): Promise<CertificateAuthorityMaterial> {
    const { logger, signal } = this.#deps;
    const backoff = new Backoff({
      initialMs: CA_SECRET_RETRY_INITIAL_MS,
      maxMs: CA_SECRET_RETRY_MAX_MS,
    });
    for (;;) {
      try {
        if ((await this.#read()) === undefined) await this.#create();
        break;
      } catch (error) {
        logger.warn("the CA's Secrets cannot be read or made", { why: describeError(error) });
        await sleep(backoff.next(), undefined, { signal });
      }
    }
    return this.reload();
  }

  async reload(): Promise<CertificateAuthorityMaterial> {
    const secret = this.#secret;
    if (secret === undefined) {
      const message = `there is neither ${this.#named(PLUGGED_IN_SECRET)} nor ${OWN_ROOT_SECRET}`;
      throw new MeshError("CA_FILES_INCOMPLETE", message, {
        hint: "restore it from a backup, or restart every istiod to begin with a new root",
      });
    }
    const pem = (key: string): NamedPem => this.#pem(secret, key);
    if (secret.metadata.name === OWN_ROOT_SECRET) {
      const root = secret.data?.["root-cert.pem"] ? "root-cert.pem" : "ca-cert.pem";
      this.#requireAll(secret, ["ca-cert.pem", "ca-key.pem"]);
      return ownRootMaterial({ root: pem(root), key: pem("ca-key.pem") }, this.#now());
    }
    if (secret.data?.["tls.crt"] !== undefined) {
      // As cert-manager makes them: the chain stands in tls.crt.
      this.#requireAll(secret, ["tls.crt", "tls.key", "ca.crt"]);
      const chain = { ...pem("tls.crt"), text: "" };
      const keys = { cert: pem("tls.crt"), key: pem("tls.key"), root: pem("ca.crt"), chain };
      return pluggedInMaterial(keys, this.#now());
    }
    this.#requireAll(secret, ["ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"]);
    return pluggedInMaterial(
      {
        cert: pem("ca-cert.pem"),
        key: pem("ca-key.pem"),
        root: pem("root-cert.pem"),
        chain: pem("cert-chain.pem"),
      },
      this.#now(),
    );
  }

  async #read(): Promise<Secret | undefined> {
    const { namespace } = this.#options;
    const get = (name: string): Promise<Secret | undefined> =>
      getObject(this.#deps.client, { kind: "Secret", namespace, name });
    this.#secret = (await get(PLUGGED_IN_SECRET)) ?? (await get(OWN_ROOT_SECRET));
    const { uid = "", resourceVersion = "" } = this.#secret?.metadata ?? {};
    this.#stamp = `${uid}/${resourceVersion}`;
    return this.#secret;
  }

  /** Whichever replica is first has made it: the others use that. */
  async #create(): Promise<void> {
    const { namespace, trustDomain } = this.#options;
    const { client, logger } = this.#deps;
    const { certPem, keyPem } = makeRoot(trustDomain, this.#now());
    const stringData = {
      "ca-cert.pem": certPem,
      "ca-key.pem": keyPem,
      "cert-chain.pem": "",
      "key.pem": "",
      "root-cert.pem": "",
    };
    const metadata = { name: OWN_ROOT_SECRET, namespace };
    const body = { apiVersion: "v1", kind: "Secret", type: OWN_ROOT_TYPE, metadata, stringData };
    try {
      await client.request({ method: "POST", path: collectionPath("Secret", namespace), body });
      logger.info("a new root was made", { secret: this.#named(OWN_ROOT_SECRET) });
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
    if ((await this.#read()) === undefined) {
      throw new MeshError("CA_FILES_INCOMPLETE", `${this.#named(OWN_ROOT_SECRET)} is gone again`);
    }
  }

  #requireAll(secret: Secret, keys: readonly string[]): void {
    const missing = keys.filter((key) => secret.data?.[key] === undefined);
    if (missing.length === 0) return;
    const name = this.#named(secret.metadata.name);
    throw new MeshError("CA_FILES_INCOMPLETE", `${name} lacks ${missing.join(", ")}`, {
      hint:
        secret.metadata.name === PLUGGED_IN_SECRET
          ? `add them, or delete the Secret to go on with the CA of ${OWN_ROOT_SECRET}`
          : "restore it from a backup: identities of another root are strangers to these",
    });
  }

  #pem({ data = {}, metadata }: Secret, key: string): NamedPem {
    const { namespace } = this.#options;
    const path = key.replaceAll(".", "\\.");
    const get = `kubectl -n ${namespace} get secret ${metadata.name} -o jsonpath='{.data.${path}}'`;
    return {
      name: `${this.#named(metadata.name)}, ${key}`,
      text: Buffer.from(data[key] ?? "", "base64").toString("utf8"),
      look: `${get} | base64 -d | openssl x509 -noout -text`,
    };
  }

  #named(name: string): string {
    return `Secret ${this.#options.namespace}/${name}`;
  }
}
