/**
 * Runs a command in a container, by way of the API server and the kubelet: what `kubectl exec`
 * does. Source of the protocol: Kubernetes' `v5.channel.k8s.io`, and `v4` where the server has no
 * other; every message begins with its channel.
 */
import type { Readable, Writable } from "node:stream";
import { MeshError } from "#common/runtime/errors.ts";
import type { KubeConnection } from "./kube-connection.ts";
import { switchProtocol } from "./kube-streams.ts";
import { STREAM_CHUNK_BYTES, STREAM_MESSAGE_BYTES } from "./limits.ts";
import { objectPath } from "./resources.ts";
import { WebSocketMessages } from "./websocket.ts";

/** The one with a word for the end of the input comes first. */
const PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"] as const;
const channels = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const;

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface ExecRequest {
  readonly namespace: string;
  readonly pod: string;
  /** The kubelet's default if none is named: the only one, or the annotated one. */
  readonly container?: string;
  readonly command: readonly string[];
  /** No input if absent. */
  readonly stdin?: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** With a terminal: how large it is, and how often that changes. */
  readonly terminal?: { readonly sizes: AsyncIterable<TerminalSize> };
}

/**
 * Returns the command's exit status. Throws a KubeApiError where the API server refuses, and a
 * MeshError where the command could not be run.
 */
export async function execInPod(connection: KubeConnection, request: ExecRequest): Promise<number> {
  const { namespace, pod, container, command, stdin, terminal } = request;
  const tty = terminal !== undefined;
  const switched = await switchProtocol(connection, {
    path: `${objectPath({ kind: "Pod", namespace, name: pod })}/exec`,
    query: {
      container,
      command: [...command],
      stdin: String(stdin !== undefined),
      stdout: "true",
      // A terminal has one output.
      stderr: String(!tty),
      tty: String(tty),
    },
    protocols: PROTOCOLS,
  });
  const messages = new WebSocketMessages(switched.socket, switched.head, STREAM_MESSAGE_BYTES);
  const halfCloses = switched.protocol === PROTOCOLS[0];
  // Input and sizes end with the connection; what goes wrong there is seen by the reader.
  if (stdin !== undefined) sendInput(messages, stdin, halfCloses).catch(() => undefined);
  if (terminal !== undefined) sendSizes(messages, terminal.sizes).catch(() => undefined);
  try {
    return await readOutput(messages, request);
  } finally {
    stdin?.destroy();
    messages.close();
  }
}

async function sendInput(connection: WebSocketMessages, stdin: Readable, halfCloses: boolean) {
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk);
    for (let at = 0; at < bytes.length; at += STREAM_CHUNK_BYTES) {
      const piece = bytes.subarray(at, at + STREAM_CHUNK_BYTES);
      await connection.send(Buffer.concat([Buffer.of(channels.stdin), piece]));
    }
  }
  if (halfCloses) await connection.send(Buffer.of(channels.close, channels.stdin));
}

async function sendSizes(connection: WebSocketMessages, sizes: AsyncIterable<TerminalSize>) {
  for await (const { columns, rows } of sizes) {
    const size = JSON.stringify({ Width: columns, Height: rows });
    await connection.send(Buffer.concat([Buffer.of(channels.resize), Buffer.from(size)]));
  }
}

async function readOutput(connection: WebSocketMessages, request: ExecRequest): Promise<number> {
  let status = "";
  for await (const message of connection.messages()) {
    const [channel] = message;
    const bytes = message.subarray(1);
    if (channel === channels.stdout) await write(request.stdout, bytes);
    else if (channel === channels.stderr) await write(request.stderr, bytes);
    else if (channel === channels.status) status += bytes.toString();
  }
  return exitStatus(status, request);
}

/** Resolves when the output takes more; what nobody reads any more is dropped. */
function write(output: Writable, bytes: Buffer): Promise<void> {
  if (bytes.length === 0 || output.destroyed) return Promise.resolve();
  return new Promise((resolve) => output.write(bytes, () => resolve()));
}

interface ExecStatus {
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { reason?: string; message?: string }[] };
}

function exitStatus(text: string, { namespace, pod }: ExecRequest): number {
  const { status, reason, message, details } = parse(text);
  if (status === "Success") return 0;
  const code = details?.causes?.find((cause) => cause.reason === "ExitCode")?.message;
  if (reason === "NonZeroExitCode" && code !== undefined) return Number(code);
  const why = message ?? "the connection ended before the command did";
  throw new MeshError("EXEC", `the command in ${namespace}/${pod} could not be run: ${why}`, {
    hint: `meshctl get pods -n ${namespace}`,
  });
}

function parse(text: string): ExecStatus {
  try {
    const value: unknown = text === "" ? {} : JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return { message: text };
  }
}
