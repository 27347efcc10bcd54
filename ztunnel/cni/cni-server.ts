/**
 * The socket that the CNI plugin of this node calls. Of two ztunnels the later one has it: each
 * listens under a name of its own and then takes the well-known name over, in one step, so that
 * there is no moment without a listener; and takes it again should the other have left it dead.
 */
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { type CniRequest, isWholeRequest, parseCniRequest } from "./cni-request.ts";
import { LOOK_INTERVAL_MS, REQUEST_BYTES, REQUEST_TIMEOUT_MS, REQUESTS_AT_ONCE } from "./limits.ts";
import type { CniAnswer } from "./pod-admission.ts";

export interface CniServerOptions {
  readonly socketPath: string;
  readonly answer: (request: CniRequest) => Promise<CniAnswer>;
  readonly log: Logger;
  /** @default LOOK_INTERVAL_MS */
  readonly lookIntervalMs?: number;
}

export class CniServer {
  readonly #options: CniServerOptions;
  readonly #server: net.Server;
  /** Our own name; unlike a process id no other container has it. */
  readonly #ownPath: string;
  readonly #open = new Set<net.Socket>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CniServerOptions) {
    this.#options = options;
    const { dir, name } = path.parse(options.socketPath);
    const own = `${name}-${randomUUID()}.sock`;
    this.#ownPath = path.join(dir, own);
    this.#server = net.createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
    this.#server.maxConnections = REQUESTS_AT_ONCE;
  }

  /** Rejects where the socket cannot be made. */
  async listen(): Promise<void> {
    const { socketPath, lookIntervalMs = LOOK_INTERVAL_MS } = this.#options;
    fs.mkdirSync(path.dirname(socketPath), { recursive: true, mode: 0o700 });
    await this.#clear();
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#ownPath, () => resolve());
    });
    fs.chmodSync(this.#ownPath, 0o600);
    this.#takeName();
    this.#timer = setInterval(() => void this.#look(), lookIntervalMs).unref();
  }

  /** Takes no more calls, and lets those under way end. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    const { socketPath } = this.#options;
    // Node removes the name that it has bound, and nobody else's.
    if (this.#isOurs()) fs.rmSync(socketPath, { force: true });
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Cuts off calls under way, too. */
  abort(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    return this.close();
  }

  /** Names that ztunnels left that were killed. */
  async #clear(): Promise<void> {
    const { dir, name } = path.parse(this.#options.socketPath);
    for (const entry of fs.readdirSync(dir)) {
      const file = path.join(dir, entry);
      if (!entry.startsWith(`${name}-`) || (await isListening(file))) continue;
      fs.rmSync(file, { force: true });
    }
  }

  /** A hard link under a name of the moment, moved over the well-known one: nobody is without. */
  #takeName(): void {
    const passing = `${this.#ownPath}.link`;
    fs.rmSync(passing, { force: true });
    fs.linkSync(this.#ownPath, passing);
    fs.renameSync(passing, this.#options.socketPath);
  }

  #isOurs(): boolean {
    try {
      return fs.statSync(this.#options.socketPath).ino === fs.statSync(this.#ownPath).ino;
    } catch {
      return false;
    }
  }

  /** Another ztunnel has it, unless it has ended without a word. */
  async #look(): Promise<void> {
    if (this.#isOurs() || (await isListening(this.#options.socketPath))) return;
    try {
      this.#takeName();
    } catch (error) {
      this.#options.log.error("the socket of the CNI plugin cannot be made", {
        why: describeError(error),
      });
    }
  }

  #serve(socket: net.Socket): void {
    this.#open.add(socket);
    const chunks: Buffer[] = [];
    let bytes = 0;
    socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#open.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      const text = Buffer.concat(chunks).toString();
      if (bytes > REQUEST_BYTES) socket.destroy();
      else if (isWholeRequest(text)) void this.#take(socket, text);
    });
  }

  #take(socket: net.Socket, text: string): Promise<void> {
    socket.setTimeout(0);
    socket.removeAllListeners("data");
    socket.resume();
    return this.#answer(socket, text);
  }

  async #answer(socket: net.Socket, text: string): Promise<void> {
    try {
      const { exitCode, output } = await this.#options.answer(parseCniRequest(text));
      socket.end(`${exitCode}\n${output}`);
    } catch (error) {
      // Without an answer the sandbox fails.
      this.#options.log.warn("a call of the CNI plugin is not answered", {
        why: describeError(error),
      });
      socket.destroy();
    }
  }
}

/** Whether somebody answers at the socket. */
export function isListening(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
