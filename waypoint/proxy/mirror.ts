/**
 * Copies of requests for mirrors: sent and forgotten. Whatever becomes of a copy, the request never
 * waits for it and its client never learns of it.
 */
import type { RequestContext } from "../filter/stage.ts";
import type { ClientExchange } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import type { BodyLength, RequestHead } from "../http/message.ts";
import type { AttemptOutcome, Lease, Upstreams } from "../upstream/upstream.ts";
import type { Mirror } from "./forward-plan.ts";
import { ACTIVE_MIRRORS, MIRROR_BUFFER_BYTES, MIRROR_MS } from "./limits.ts";
import { LiveContext } from "./live-context.ts";
import type { BodySink, RequestBody } from "./request-body.ts";

export interface MirroredRequest {
  readonly context: RequestContext;
  /** As the upstream gets it. */
  readonly head: RequestHead;
  readonly bodyLength: BodyLength;
  readonly body: RequestBody;
}

export interface MirrorDependencies {
  readonly upstreams: Pick<Upstreams, "lease">;
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** The copies of one process. */
export class Mirrors {
  readonly #deps: MirrorDependencies;
  #active = 0;

  constructor(deps: MirrorDependencies) {
    this.#deps = deps;
  }

  /** Copies under way. */
  get active(): number {
    return this.#active;
  }

  /** Begins a copy to each mirror whose percentage the dice hit. Upgrades have none. */
  send(mirrors: readonly Mirror[], request: MirroredRequest): void {
    if (request.head.upgrade !== undefined) return;
    for (const { backend, percent } of mirrors) {
      if (this.#active >= ACTIVE_MIRRORS) return;
      if (percent < 100 && this.#deps.random() * 100 >= percent) continue;
      this.#active++;
      const copy = new MirrorCopy(this.#deps, request, () => {
        this.#active--;
      });
      if (request.bodyLength.kind !== "none") request.body.copyTo(copy);
      copy.begin(backend);
    }
  }
}

class MirrorCopy implements BodySink {
  readonly #deps: MirrorDependencies;
  readonly #context: LiveContext;
  readonly #bodyLength: BodyLength;
  readonly #onOver: () => void;
  readonly #timer: NodeJS.Timeout;
  /** What waits for a connection, or for one that is slow. */
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #full = false;
  #ended = false;
  #exchange: ClientExchange | undefined;
  #lease: Lease | undefined;
  #status = 0;
  #over = false;
  readonly #beganAt: number;

  constructor(deps: MirrorDependencies, request: MirroredRequest, onOver: () => void) {
    const { context, head, bodyLength } = request;
    const shadow = { ...head, authority: shadowAuthority(head.authority) };
    // What a mirror answers has no effect: its context is one that nobody else sees.
    const headers = new HeaderList([...head.headers.flat]);
    this.#deps = deps;
    this.#beganAt = deps.now();
    this.#bodyLength = bodyLength;
    this.#onOver = onOver;
    const { gateway, downstream, id } = context;
    this.#context = new LiveContext(gateway, downstream, { ...shadow, headers }, id);
    this.#timer = setTimeout(() => this.#giveUp(), MIRROR_MS);
  }

  begin(backend: Mirror["backend"]): void {
    const context = this.#context;
    const protocol = context.head.version === "2" ? "http2" : "http1";
    this.#deps.upstreams.lease({ backend, context, protocol, exclude: new Set() }).then(
      (lease) => {
        if (!("connection" in lease)) this.#finish({ kind: "unused" });
        else if (this.#over) lease.finished({ kind: "unused" });
        else this.#send(lease);
      },
      () => this.#giveUp(),
    );
  }

  /** Never holds the request back: what is too much ends the copy. */
  write(chunk: Uint8Array): boolean {
    if (this.#over) return true;
    if (this.#exchange !== undefined && !this.#full) {
      this.#full = !this.#exchange.write(chunk);
      return true;
    }
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes > MIRROR_BUFFER_BYTES) this.#giveUp();
    return true;
  }

  end(): void {
    this.#ended = true;
    this.#flush();
  }

  #send(lease: Lease): void {
    this.#lease = lease;
    try {
      this.#exchange = lease.connection.request(this.#context.head, this.#bodyLength, {
        onInformation: () => undefined,
        onHead: ({ status }) => {
          this.#status = status;
        },
        onData: () => true,
        onEnd: () => undefined,
        onDrain: () => {
          this.#full = false;
          this.#flush();
        },
        onClosed: (error) => this.#finish(this.#outcome(error !== undefined)),
      });
      this.#flush();
    } catch {
      // The connection takes no request: the copy is lost, as it may be.
      this.#giveUp();
    }
  }

  #flush(): void {
    const exchange = this.#exchange;
    if (exchange === undefined || this.#over || this.#full) return;
    for (const chunk of this.#queue) this.#full = !exchange.write(chunk) || this.#full;
    this.#queue = [];
    this.#queuedBytes = 0;
    if (this.#ended && this.#bodyLength.kind !== "none") exchange.end();
  }

  #outcome(failed: boolean): AttemptOutcome {
    const milliseconds = this.#deps.now() - this.#beganAt;
    if (this.#status !== 0) return { kind: "response", status: this.#status, milliseconds };
    return failed ? { kind: "local-failure", milliseconds } : { kind: "unused" };
  }

  #giveUp(): void {
    if (this.#over) return;
    this.#finish({ kind: "unused" });
    this.#exchange?.cancel();
  }

  #finish(outcome: AttemptOutcome): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#queue = [];
    this.#context.abort();
    this.#lease?.finished(outcome);
    this.#onOver();
  }
}

/** `host-shadow:port`. Source: Envoy, RequestMirrorPolicy. */
export function shadowAuthority(authority: string): string {
  const [, host = authority, port = ""] = /^(.*?)(:\d+)?$/.exec(authority) ?? [];
  return `${host}-shadow${port}`;
}
