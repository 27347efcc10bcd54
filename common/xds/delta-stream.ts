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

/** A stream without a connection is given up after this; the kernel would try for minutes. */
const CONNECT_TIMEOUT_MS = 10_000;
/** A NACK names this many resources; the log has all. */
const REJECTIONS_IN_NACK = 20;

/** What grpc-js adds to every failed connection when the name was resolved. */
const EMPTY_NOTE = /\.? Resolution note: $/;

const NO_CONNECTION: StreamEnd = {
  answered: false,
  code: status.UNAVAILABLE,
  details: `no connection within ${CONNECT_TIMEOUT_MS / 1000} s`,
};

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
  let timedOut = false;
  const connecting = setTimeout(() => {
    timedOut = client.getChannel().getConnectivityState(false) !== connectivityState.READY;
    if (timedOut) cancel();
  }, CONNECT_TIMEOUT_MS);
  let answered = false;
  stream.on("data", ({ response, bytes }: SizedResponse) => {
    answered = true;
    receive(stream, deps, response, bytes);
  });
  // Every end has a status; the same comes as an error, which must not be left without a listener.
  stream.on("error", () => undefined);
  const ended = new Promise<StreamEnd>((resolve) => {
    stream.on("status", ({ code, details }: StatusObject) => {
      signal.removeEventListener("abort", cancel);
      clearTimeout(connecting);
      const why = details.replace(EMPTY_NOTE, "");
      resolve(timedOut ? NO_CONNECTION : { answered, code, details: why });
    });
  });
  if (signal.aborted) cancel();
  else subscribe(stream, deps);
  return ended;
}

function open(client: Client, metadata: Metadata): Stream {
  const { path, requestSerialize, responseDeserialize } = deltaAggregatedResources;
  const deserialize = (bytes: Buffer): SizedResponse => ({
    response: responseDeserialize(bytes),
    bytes: bytes.length,
  });
  return client.makeBidiStreamRequest(path, requestSerialize, deserialize, metadata, {});
}

/** An empty list of names subscribes to everything; the node is told once. */
function subscribe(stream: Stream, { node, handlers }: DeltaStreamDeps): void {
  let first = true;
  for (const handler of handlers.values()) {
    stream.write({
      ...(first && { node }),
      typeUrl: handler.typeUrl,
      subscribe: [],
      unsubscribe: [],
      initialResourceVersions: handler.versions,
      responseNonce: "",
    });
    first = false;
  }
}

function receive(
  stream: Stream,
  deps: DeltaStreamDeps,
  response: DeltaDiscoveryResponse,
  bytes: number,
): void {
  const handler = deps.handlers.get(response.typeUrl);
  if (handler === undefined) {
    deps.logger.warn("ignoring resources of a type that was not asked for", {
      type: response.typeUrl,
    });
    return;
  }
  let rejected: readonly Rejection[];
  try {
    rejected = handler.accept(response);
  } catch (error) {
    // A defect of ours, not of the push: start over from what was applied so far.
    deps.logger.error("cannot apply a push", { type: response.typeUrl, why: describeError(error) });
    stream.cancel();
    return;
  }
  for (const { name, why, applied } of rejected) {
    const message = applied
      ? "a resource is not understood in full, it is enforced at its strictest"
      : "rejected a resource, its last good version stays in force";
    deps.logger.error(message, { name, why });
  }
  stream.write(acknowledgement(response, rejected));
  deps.onPush(handler, bytes);
}

function acknowledgement(
  { typeUrl, nonce }: DeltaDiscoveryResponse,
  rejected: readonly Rejection[],
): DeltaDiscoveryRequest {
  const ack = {
    typeUrl,
    subscribe: [],
    unsubscribe: [],
    initialResourceVersions: new Map<string, string>(),
    responseNonce: nonce,
  };
  if (rejected.length === 0) return ack;
  const named = rejected.slice(0, REJECTIONS_IN_NACK).map(({ name, why }) => `${name}: ${why}`);
  const more = rejected.length - named.length;
  if (more > 0) named.push(`and ${more} more`);
  return { ...ack, errorDetail: { code: status.INVALID_ARGUMENT, message: named.join("; ") } };
}
