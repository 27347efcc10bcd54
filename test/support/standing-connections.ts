/** Connections of a `PolicyMesh` that stay open while its policies change. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { readBytes } from "#test/support/pod-sockets.ts";
import {
  type Call,
  CLIENTS,
  type Client,
  FAMILIES,
  type PolicyMesh,
  SERVERS,
  type Server,
} from "#test/support/policy-mesh.ts";

/** Ports of servers that answer every byte with the same byte, for as long as anybody asks. */
export const ECHO_PORT = 6001;
export const SECOND_ECHO_PORT = 6002;

/** Every client to every server in both families, and to both ports of `shop/db`. */
const CALLS: readonly Call[] = (Object.keys(CLIENTS) as Client[]).flatMap((client) =>
  (Object.keys(SERVERS) as Server[]).flatMap((server) =>
    (server === "db" ? [ECHO_PORT, SECOND_ECHO_PORT] : [ECHO_PORT]).flatMap((port) =>
      FAMILIES.map((family) => ({ client, server, port, family })),
    ),
  ),
);

/** Starts the servers; they end with the mesh's sockets. */
export async function serveEcho(mesh: PolicyMesh): Promise<void> {
  for (const server of Object.values(SERVERS)) {
    for (const port of [ECHO_PORT, SECOND_ECHO_PORT]) {
      await mesh.sockets.serve(server, port, (socket) => void socket.pipe(socket));
    }
  }
}

export class StandingConnection {
  readonly call: Call;
  /** As the client's own socket has it. */
  readonly localPort: number;
  readonly #socket: Socket;
  #ended: string | undefined;

  private constructor(call: Call, socket: Socket) {
    this.call = call;
    this.localPort = socket.localPort ?? 0;
    this.#socket = socket;
    socket.once("end", () => {
      this.#ended ??= "end";
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      this.#ended ??= error.code ?? "error";
    });
  }

  /** Opens a connection and uses it; rejects if that is refused. */
  static async open(mesh: PolicyMesh, call: Call): Promise<StandingConnection> {
    const socket = await mesh.sockets.dial(CLIENTS[call.client], mesh.target(call));
    const standing = new StandingConnection(call, socket);
    await standing.use();
    return standing;
  }

  /** Opens all that are not refused. */
  static async openAll(mesh: PolicyMesh): Promise<readonly StandingConnection[]> {
    const all = await Promise.allSettled(CALLS.map((call) => StandingConnection.open(mesh, call)));
    return all.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  }

  /** How it ended: "end", or an error's code; undefined while it stands. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /** Sends a byte and takes its echo; rejects if there is none. */
  async use(): Promise<void> {
    this.#socket.write("?");
    assert.equal((await readBytes(this.#socket, 1)).toString(), "?");
    // Read on, to learn of the end.
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }
}
