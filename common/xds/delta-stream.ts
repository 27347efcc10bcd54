/** One delta ADS stream, from its first requests to its end. */
import {
  type Client,
  type ClientDuplexStream,
  connectivityState,
  type Metadata,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import {
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  type DiscoveryNode,
  deltaAggregatedResources,
} from "./discovery-rpc.ts";
import {
  CONNECT_TIMEOUT_MS,
  FIRST_ANSWER_TIMEOUT_MS,
  REJECTIONS_TOLD,
  UNREAD_ACKNOWLEDGEMENTS,
} from "./limits.ts";
import type { Rejection, ResourceHandler } from "./resource-handler.ts";

export interface DeltaStreamDeps {
  readonly node: DiscoveryNode;
  readonly handlers: ReadonlyMap<string, ResourceHandler>;
  readonly logger: Logger;
  /** Called after each push that was applied, with the size of its message. */
  readonly onPush: (handler: ResourceHandler, bytes: number) => void;
}

/** How a stream ended. */
export interface StreamEnd {
  /** Whether the server answered at all. */
  readonly answered: boolean;
  readonly code: number;
  readonly details: string;
}

interface SizedResponse {
  readonly response: DeltaDiscoveryResponse;
  readonly bytes: number;
}

type Stream = ClientDuplexStream<DeltaDiscoveryRequest, SizedResponse>;

/** What grpc-js adds to every failed connection when the name was resolved. */
const EMPTY_NOTE = /\.? Resolution note: $/;

/** What this side says of a stream that it gives up: never an ordinary end. */
function givenUp(code: status, details: string): StreamEnd {
  return { answered: false, code, details };
}

const NO_CONNECTION = givenUp(
  status.UNAVAILABLE,
  `no connection within ${CONNECT_TIMEOUT_MS / 1000} s`,
);
const NO_ANSWER = givenUp(
  status.UNAVAILABLE,
  `connected, but no answer within ${FIRST_ANSWER_TIMEOUT_MS / 1000} s`,
);
const UNREAD = givenUp(
  status.RESOURCE_EXHAUSTED,
  `the server sends on and on, and does not read ${UNREAD_ACKNOWLEDGEMENTS} acknowledgements`,
);
const DEFECT = givenUp(status.INTERNAL, "a push could not be applied: see the log");

/** Runs one stream until either side ends it. Never rejects. */
export function runDeltaStream(
  client: Client,
  metadata: Metadata,
  deps: DeltaStreamDeps,
  signal: AbortSignal,
): Promise<StreamEnd> {
  const stream = open(client, metadata);
  const cancel = (): void => stream.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  let why: StreamEnd | undefined;
  const giveUp = (end: StreamEnd): void => {
    why ??= end;
    cancel();
  };
  const connecting = setTimeout(() => {
    const state = client.getChannel().getConnectivityState(false);
    if (state !== connectivityState.READY) giveUp(NO_CONNECTION);
  }, CONNECT_TIMEOUT_MS);
  const waiting = setTimeout(() => giveUp(NO_ANSWER), FIRST_ANSWER_TIMEOUT_MS);
  let answered = false;
  const receiver = new Receiver(stream, deps, giveUp);
  stream.on("data", ({ response, bytes }: SizedResponse) => {
    answered = true;
    clearTimeout(waiting);
    if (why === undefined) receiver.receive(response, bytes);
  });
  // Every end has a status; the same comes as an error, which must not be left without a listener.
  stream.on("error", () => undefined);
  const ended = new Promise<StreamEnd>((resolve) => {
    stream.on("status", ({ code, details }: StatusObject) => {
      signal.removeEventListener("abort", cancel);
      clearTimeout(connecting);
      clearTimeout(waiting);
      resolve(why ?? { answered, code, details: details.replace(EMPTY_NOTE, "") });
    });
  });
  if (signal.aborted) cancel();
  else subscribe(stream, deps, giveUp);
  return ended.finally(() => detach(deps));
}

function open(client: Client, metadata: Metadata): Stream {
  const { path, requestSerialize, responseDeserialize } = deltaAggregatedResources;
  const deserialize = (bytes: Buffer): SizedResponse => ({
    response: responseDeserialize(bytes),
    bytes: bytes.length,
  });
  return client.makeBidiStreamRequest(path, requestSerialize, deserialize, metadata, {});
}

const EVERYTHING = "*";

/**
 * An empty list of names subscribes to everything; everything in both lists is how a client says
 * that it asks for what it needs. The node is told once.
 */
function subscribe(stream: Stream, deps: DeltaStreamDeps, giveUp: (end: StreamEnd) => void): void {
  let node: DiscoveryNode | undefined = deps.node;
  for (const { typeUrl, names, versions } of deps.handlers.values()) {
    const ask = (subscribe: readonly string[], unsubscribe: readonly string[]): void => {
      stream.write({ ...NO_REQUEST, typeUrl, subscribe, unsubscribe });
      if (stream.writableLength > UNREAD_ACKNOWLEDGEMENTS) giveUp(UNREAD);
    };
    const { settled, open } = names?.attach(ask) ?? { settled: undefined, open: [] };
    stream.write({
      ...NO_REQUEST,
      ...(node && { node }),
      typeUrl,
      ...(settled && { subscribe: [EVERYTHING, ...settled], unsubscribe: [EVERYTHING] }),
      initialResourceVersions: versions,
    });
    node = undefined;
    // In a request of their own: of what is held already, the first one is not answered.
    if (open.length > 0) ask(open, []);
  }
}

function detach({ handlers }: DeltaStreamDeps): void {
  for (const { names } of handlers.values()) names?.detach();
}

const NO_REQUEST = {
  subscribe: [],
  unsubscribe: [],
  initialResourceVersions: new Map<string, string>(),
  responseNonce: "",
} as const;

/** What becomes of the responses of one stream. */
class Receiver {
  readonly #stream: Stream;
  readonly #deps: DeltaStreamDeps;
  readonly #giveUp: (end: StreamEnd) => void;
  /** Whether a type that nobody asked for has been told of: once per stream. */
  #strangeTypeTold = false;

  constructor(stream: Stream, deps: DeltaStreamDeps, giveUp: (end: StreamEnd) => void) {
    this.#stream = stream;
    this.#deps = deps;
    this.#giveUp = giveUp;
  }

  receive(response: DeltaDiscoveryResponse, bytes: number): void {
    const { handlers, logger, onPush } = this.#deps;
    const { typeUrl: type } = response;
    const handler = handlers.get(type);
    if (handler === undefined) {
      if (this.#strangeTypeTold) return;
      this.#strangeTypeTold = true;
      logger.warn("ignoring resources of a type that was not asked for", { type });
      return;
    }
    let rejected: readonly Rejection[];
    try {
      rejected = handler.accept(response);
    } catch (error) {
      // A defect of ours, not of the push: start over from what was applied so far.
      logger.error("cannot apply a push", { type, why: describeError(error) });
      this.#giveUp(DEFECT);
      return;
    }
    this.#tell(rejected);
    this.#stream.write(acknowledgement(response, rejected));
    if (this.#stream.writableLength > UNREAD_ACKNOWLEDGEMENTS) this.#giveUp(UNREAD);
    onPush(handler, bytes);
  }

  #tell(rejected: readonly Rejection[]): void {
    const { logger } = this.#deps;
    for (const { name, why, applied } of rejected.slice(0, REJECTIONS_TOLD)) {
      const message = applied
        ? "a resource is not understood in full, it is enforced at its strictest"
        : "rejected a resource, its last good version stays in force";
      logger.error(message, { name, why });
    }
    const more = rejected.length - REJECTIONS_TOLD;
    if (more > 0) logger.error("further resources of the same push were rejected", { more });
  }
}

function acknowledgement(
  { typeUrl, nonce }: DeltaDiscoveryResponse,
  rejected: readonly Rejection[],
): DeltaDiscoveryRequest {
  const ack = { ...NO_REQUEST, typeUrl, responseNonce: nonce };
  if (rejected.length === 0) return ack;
  const named = rejected.slice(0, REJECTIONS_TOLD).map(({ name, why }) => `${name}: ${why}`);
  const more = rejected.length - named.length;
  if (more > 0) named.push(`and ${more} more`);
  return { ...ack, errorDetail: { code: status.INVALID_ARGUMENT, message: named.join("; ") } };
}
