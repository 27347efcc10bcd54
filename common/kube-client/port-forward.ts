/**
 * One TCP connection to a port of a pod, by way of the API server and the pod's kubelet: what
 * `kubectl port-forward` does. Source of the protocol: Kubernetes' `v4.channel.k8s.io` for
 * port-forward; every message begins with its channel, the first one of a channel only says the
 * port.
 */
import { Duplex } from "node:stream";
import { MeshError } from "#common/runtime/errors.ts";
import type { KubeConnection } from "./kube-connection.ts";
import { type Switched, switchProtocol } from "./kube-streams.ts";
import { STREAM_CHUNK_BYTES, STREAM_ERROR_CHARACTERS, STREAM_MESSAGE_BYTES } from "./limits.ts";
import { objectPath } from "./resources.ts";
import { WebSocketMessages } from "./websocket.ts";

const PROTOCOL = "v4.channel.k8s.io";
/** Of the first port; there is only one. */
const channels = { data: 0, error: 1 } as const;
const PORT_BYTES = 2;

export interface ForwardTarget {
  readonly namespace: string;
  readonly pod: string;
  /** On the pod's loopback, so that ports that listen nowhere else can be reached. */
  readonly port: number;
}

/**
 * Ready to be used, as a socket is; it fails later where nothing listens on the port. It cannot be
 * half closed: the protocol has no word for it, so `end()` only says that nothing more is written.
 * Throws a KubeApiError where the API server refuses.
 */
export async function openPortForward(
  connection: KubeConnection,
  target: ForwardTarget,
): Promise<Duplex> {
  const { namespace, pod, port } = target;
  const switched = await switchProtocol(connection, {
    path: `${objectPath({ kind: "Pod", namespace, name: pod })}/portforward`,
    query: { ports: String(port) },
    protocols: [PROTOCOL],
  });
  return new ForwardedConnection(switched, target);
}

class ForwardedConnection extends Duplex {
  readonly #connection: WebSocketMessages;
  readonly #messages: AsyncGenerator<Buffer>;
  readonly #target: ForwardTarget;
  readonly #begun = new Set<number>();
  #error = "";

  constructor({ socket, head }: Switched, target: ForwardTarget) {
    super({ allowHalfOpen: true });
    this.#target = target;
    this.#connection = new WebSocketMessages(socket, head, STREAM_MESSAGE_BYTES);
    this.#messages = this.#connection.messages();
  }

  override _read(): void {
    this.#pull().catch((error: unknown) => this.destroy(asError(error)));
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.#send(chunk).then(
      () => done(),
      (error: unknown) => done(asError(error)),
    );
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#connection.close();
    done(error);
  }

  /** Until there is something for the reader. */
  async #pull(): Promise<void> {
    for (;;) {
      const { done, value } = await this.#messages.next();
      if (done === true) {
        if (this.#error !== "") throw this.#refused();
        this.push(null);
        return;
      }
      const data = this.#take(value);
      if (data === undefined || data.length === 0) continue;
      this.push(data);
      return;
    }
  }

  /** The bytes of a message that are the application's. */
  #take(message: Buffer): Buffer | undefined {
    const [channel] = message;
    if (channel !== channels.data && channel !== channels.error) return undefined;
    let bytes = message.subarray(1);
    if (!this.#begun.has(channel)) {
      this.#begun.add(channel);
      bytes = bytes.subarray(PORT_BYTES);
    }
    if (channel === channels.data) return bytes;
    if (this.#error.length < STREAM_ERROR_CHARACTERS) this.#error += bytes.toString();
    if (this.#error !== "") throw this.#refused();
    return undefined;
  }

  async #send(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length; at += STREAM_CHUNK_BYTES) {
      const piece = chunk.subarray(at, at + STREAM_CHUNK_BYTES);
      await this.#connection.send(Buffer.concat([Buffer.of(channels.data), piece]));
    }
  }

  #refused(): MeshError {
    const { namespace, pod, port } = this.#target;
    const why = this.#error.trim();
    return new MeshError("PORT_FORWARD", `port ${port} of ${namespace}/${pod}: ${why}`, {
      hint: `does the pod listen on it? meshctl logs ${pod} -n ${namespace}`,
    });
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
