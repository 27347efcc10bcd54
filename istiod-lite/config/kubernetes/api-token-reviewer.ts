/**
 * Tokens reviewed by the API server, which knows what a signature does not say: that the pod and
 * the account it is bound to still exist. The pod stands in the reply's extra fields.
 */
import { createHash } from "node:crypto";
import type { KubeClient } from "#common/kube-client/kube-client.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { Semaphore } from "#common/runtime/semaphore.ts";
import { ISTIO_CA_AUDIENCE } from "#common/tls/service-account-token.ts";
import type { Caller } from "#istiod-lite/ca/caller.ts";
import { callerFromClaims } from "#istiod-lite/ca/caller-claims.ts";
import { bearerToken, type TokenReviewer } from "#istiod-lite/ca/token-review.ts";
import {
  REFUSED_TOKEN_MS,
  REFUSED_TOKENS,
  TOKEN_CACHE_ENTRIES,
  TOKEN_CACHE_MS,
  TOKEN_REVIEW_TIMEOUT_MS,
  TOKEN_REVIEWS_AT_ONCE,
  TOKEN_REVIEWS_WAITING,
} from "#istiod-lite/limits.ts";

const PATH = "/apis/authentication.k8s.io/v1/tokenreviews";
/** Source: Kubernetes' pkg/serviceaccount/util.go, KeyExtra constants. */
const EXTRA = {
  podName: "authentication.kubernetes.io/pod-name",
  podUid: "authentication.kubernetes.io/pod-uid",
  node: "authentication.kubernetes.io/node-name",
} as const;

export interface ApiTokenReviewerOptions {
  /** Default ISTIO_CA_AUDIENCE. */
  readonly audience?: string;
  /** Milliseconds since the epoch; default Date.now. */
  readonly now?: () => number;
}

interface Believed {
  readonly caller: Caller;
  readonly untilMs: number;
}

export class ApiTokenReviewer implements TokenReviewer {
  readonly #client: KubeClient;
  readonly #audience: string;
  readonly #now: () => number;
  /** By SHA-256 of the token, oldest first. */
  readonly #believed = new Map<string, Believed>();
  /** Why, and until when: apart, so that junk cannot push out who is known. */
  readonly #refused = new Map<string, { readonly why: string; readonly untilMs: number }>();
  readonly #asking = new Map<string, Promise<Caller>>();
  readonly #places = new Semaphore(TOKEN_REVIEWS_AT_ONCE);

  constructor(client: KubeClient, options: ApiTokenReviewerOptions = {}) {
    this.#client = client;
    this.#audience = options.audience ?? ISTIO_CA_AUDIENCE;
    this.#now = options.now ?? Date.now;
  }

  async review(authorizationHeader: string | undefined): Promise<Caller> {
    const token = bearerToken(authorizationHeader);
    const expiresMs = this.#expiryOf(token);
    const digest = createHash("sha256").update(token).digest("base64");
    const known = this.#believed.get(digest);
    if (known !== undefined && known.untilMs > this.#now()) return known.caller;
    this.#believed.delete(digest);
    const no = this.#refused.get(digest);
    if (no !== undefined && no.untilMs > this.#now()) throw refusal(no.why);
    const asked = this.#asking.get(digest) ?? this.#ask(token, digest, expiresMs);
    return asked;
  }

  /** Several calls with one token are one question. */
  #ask(token: string, digest: string, expiresMs: number): Promise<Caller> {
    if (this.#asking.size >= TOKEN_REVIEWS_WAITING) {
      const message = `${TOKEN_REVIEWS_WAITING} tokens are being reviewed already`;
      throw new MeshError("TOKEN_NOT_REVIEWED", message);
    }
    const asked = this.#places
      .run(() => this.#reviewed(token))
      .then(
        (caller) => {
          const untilMs = Math.min(this.#now() + TOKEN_CACHE_MS, expiresMs);
          remember(this.#believed, digest, { caller, untilMs }, TOKEN_CACHE_ENTRIES);
          return caller;
        },
        (error: unknown) => {
          // What the API server did not answer, it may answer now.
          if (error instanceof MeshError && error.code === "UNAUTHENTICATED") {
            const untilMs = this.#now() + REFUSED_TOKEN_MS;
            remember(this.#refused, digest, { why: error.message, untilMs }, REFUSED_TOKENS);
          }
          throw error;
        },
      )
      .finally(() => this.#asking.delete(digest));
    this.#asking.set(digest, asked);
    return asked;
  }

  async #reviewed(token: string): Promise<Caller> {
    const body = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenReview",
      spec: { token, audiences: [this.#audience] },
    };
    let answer: unknown;
    try {
      const timeoutMs = TOKEN_REVIEW_TIMEOUT_MS;
      answer = await this.#client.request({ method: "POST", path: PATH, body, timeoutMs });
    } catch (error) {
      const message = `the API server did not review the token: ${describeError(error)}`;
      throw new MeshError("TOKEN_NOT_REVIEWED", message, { cause: error });
    }
    const status = member(answer, "status");
    if (member(status, "authenticated") !== true) {
      const why = member(status, "error");
      throw refusal(typeof why === "string" ? why : "the API server does not know it");
    }
    // An API server that knows no audiences would let every token through.
    const audiences = member(status, "audiences");
    if (!Array.isArray(audiences) || !audiences.includes(this.#audience)) {
      throw refusal(`it is not for the audience ${this.#audience}`);
    }
    return callerOf(member(status, "user"));
  }

  /** What the token says of itself: enough not to ask for the outworn, never to believe one. */
  #expiryOf(token: string): number {
    const [, payload = ""] = token.split(".");
    let claims: unknown;
    try {
      claims = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    } catch {
      throw refusal("it is no JSON Web Token");
    }
    const expires = member(claims, "exp");
    if (typeof expires !== "number") throw refusal("it does not say until when it is good");
    const expiresMs = expires * 1000;
    if (expiresMs <= this.#now()) throw refusal("it has expired");
    return expiresMs;
  }
}

/** `user` of the reply, in the words of the token's own claims, read as these are. */
function callerOf(user: unknown): Caller {
  const username = member(user, "username");
  const [, namespace, name] =
    /^system:serviceaccount:([^:]+):([^:]+)$/.exec(typeof username === "string" ? username : "") ??
    [];
  if (namespace === undefined || name === undefined) throw refusal("it is no service account's");
  const first = (key: string): unknown => {
    const values = member(member(user, "extra"), key);
    return Array.isArray(values) ? values[0] : undefined;
  };
  const podName = first(EXTRA.podName);
  const node = first(EXTRA.node);
  return callerFromClaims({
    sub: `system:serviceaccount:${namespace}:${name}`,
    "kubernetes.io": {
      namespace,
      serviceaccount: { name },
      ...(podName !== undefined && { pod: { name: podName, uid: first(EXTRA.podUid) } }),
      ...(node !== undefined && { node: { name: node } }),
    },
  });
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<string, unknown>)[key];
}

function refusal(why: string): MeshError {
  return new MeshError("UNAUTHENTICATED", `the token was not accepted: ${why}`);
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value, max: number): void {
  map.set(key, value);
  if (map.size <= max) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
