/** The values of a request in the forms that matching compares, each worked out at most once. */
import { type IpAddress, ipToBytes } from "#common/model/ip.ts";
import { withoutScheme } from "../connection-view.ts";
import type { HttpFacts, RequestFacts } from "./facts.ts";

/** Texts that a policy's value may meet. */
export type Texts = readonly string[];

const NO_TEXTS: Texts = [];

export class RequestView {
  readonly facts: RequestFacts;
  #principal: Texts | undefined;
  #namespace: Texts | undefined;
  #serviceAccount: Texts | undefined;
  #trustDomain: Texts | undefined;
  #method: Texts | undefined;
  #methods: Texts | undefined;
  #path: Texts | undefined;
  #host: Texts | undefined;
  #hosts: Texts | undefined;
  #sourceBytes: Uint8Array | undefined;
  #destinationBytes: readonly Uint8Array[] | undefined;

  constructor(facts: RequestFacts) {
    this.facts = facts;
  }

  get http(): HttpFacts | undefined {
    return this.facts.http;
  }

  get principal(): Texts {
    this.#principal ??= [withoutScheme(this.facts.peer.uri)];
    return this.#principal;
  }

  get namespace(): Texts {
    this.#namespace ??= [this.facts.peer.namespace];
    return this.#namespace;
  }

  get trustDomain(): Texts {
    this.#trustDomain ??= [this.facts.peer.trustDomain];
    return this.#trustDomain;
  }

  get serviceAccount(): Texts {
    const { namespace, serviceAccount } = this.facts.peer;
    this.#serviceAccount ??= [`${namespace}/${serviceAccount}`];
    return this.#serviceAccount;
  }

  get sni(): Texts {
    return this.facts.sni === undefined ? NO_TEXTS : [this.facts.sni.toLowerCase()];
  }

  /** As it came. */
  get method(): Texts {
    this.#method ??= this.http === undefined ? NO_TEXTS : [this.http.method];
    return this.#method;
  }

  /** What an upstream that is lax about letters may take it for. */
  get methods(): Texts {
    this.#methods ??= this.method.flatMap((method) => distinct(method, method.toUpperCase()));
    return this.#methods;
  }

  /** Without query and fragment. */
  get path(): Texts {
    this.#path ??= this.http === undefined ? NO_TEXTS : [pathOf(this.http.path)];
    return this.#path;
  }

  /** Host and port as the client wrote them, in lower case. */
  get host(): Texts {
    this.#host ??= this.http === undefined ? NO_TEXTS : [this.http.authority.toLowerCase()];
    return this.#host;
  }

  /** The same host written otherwise: without port, with the real one, without a last dot. */
  get hosts(): Texts {
    this.#hosts ??= this.host.flatMap((host) => {
      const bare = bareHost(host);
      return distinct(host, bare, `${bare}:${this.facts.destinationPort}`);
    });
    return this.#hosts;
  }

  get sourceBytes(): Uint8Array {
    this.#sourceBytes ??= ipToBytes(this.facts.sourceIp);
    return this.#sourceBytes;
  }

  get destinationBytes(): readonly Uint8Array[] {
    this.#destinationBytes ??= this.facts.destinationIps.map((ip: IpAddress) => ipToBytes(ip));
    return this.#destinationBytes;
  }
}

/** The path itself, without what follows `?` or `#`. */
export function pathOf(target: string): string {
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i);
    if (code === 0x3f || code === 0x23) return target.slice(0, i);
  }
  return target;
}

function bareHost(host: string): string {
  const port = /:[0-9]*$/.exec(host);
  const end = port === null || (host.includes("]") && !host.includes("]:")) ? "" : port[0];
  const bare = host.slice(0, host.length - end.length);
  return bare.endsWith(".") ? bare.slice(0, -1) : bare;
}

function distinct(...texts: string[]): Texts {
  return [...new Set(texts)];
}
