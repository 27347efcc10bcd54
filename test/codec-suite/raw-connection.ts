/** Connections whose bytes a test writes and reads itself, and an upstream made of them. */
import { once } from "node:events";
import net from "node:net";

/** Of machines that are many times slower. */
const DEADLINE_MS = 30_000;

export class RawConnection {
  /** All that came, one character per byte. */
  received = "";
  /** The other side said that no more follows. */
  ended = false;
  closed = false;
  /** It was closed by a reset. */
  wasReset = false;
  readonly socket: net.Socket;
  #read = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.received += chunk.toString("latin1");
      this.#wake();
    });
    socket.on("end", () => {
      this.ended = true;
      this.#wake();
    });
    socket.on("error", () => {
      this.wasReset = true;
    });
    socket.on("close", () => {
      this.closed = true;
      this.#wake();
    });
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    await once(socket, "connect");
    return new RawConnection(socket);
  }

  /** What came since the last `until`. */
  get unread(): string {
    return this.received.slice(this.#read);
  }

  write(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** What came since the last `until`, up to where `pattern` ends. Throws if it does not come. */
  async until(pattern: string | RegExp): Promise<string> {
    const rest = (): string => this.received.slice(this.#read);
    const found = (): number => endOf(rest(), pattern);
    await this.wait(() => found() >= 0 || this.ended || this.closed, String(pattern));
    const end = found();
    if (end < 0) throw new Error(`closed before ${pattern}: ${JSON.stringify(rest())}`);
    const text = rest().slice(0, end);
    this.#read += end;
    return text;
  }

  /** A head, to its empty line. */
  head(): Promise<string> {
    return this.until("\r\n\r\n");
  }

  /** Everything until the other side ends or closes. */
  async rest(): Promise<string> {
    await this.wait(() => this.ended || this.closed, "the end");
    const text = this.received.slice(this.#read);
    this.#read = this.received.length;
    return text;
  }

  async wait(condition: () => boolean, what: string): Promise<void> {
    const overdue = AbortSignal.timeout(DEADLINE_MS);
    overdue.addEventListener("abort", () => this.#wake());
    while (!condition()) {
      if (overdue.aborted) {
        throw new Error(`waited for ${what}, got ${JSON.stringify(this.received)}`);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

function endOf(text: string, pattern: string | RegExp): number {
  if (typeof pattern === "string") {
    const at = text.indexOf(pattern);
    return at < 0 ? -1 : at + pattern.length;
  }
  const match = pattern.exec(text);
  return match === null ? -1 : match.index + match[0].length;
}

/** Accepts connections for the test to play upstream on. */
export class RawUpstream {
  readonly connections: RawConnection[] = [];
  /** Called for every connection, besides. */
  onConnection: ((connection: RawConnection) => void) | undefined;
  #taken = 0;
  readonly #server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const connection = new RawConnection(socket);
    this.connections.push(connection);
    this.onConnection?.(connection);
  });

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** The next connection that was not taken yet. */
  async next(): Promise<RawConnection> {
    const index = this.#taken++;
    await eventually(() => this.connections.length > index, `connection ${index} to the upstream`);
    const connection = this.connections[index];
    if (connection === undefined) throw new Error("connections only grow in number");
    return connection;
  }

  close(): void {
    this.#server.close();
    for (const { socket } of this.connections) socket.destroy();
  }
}

/** Calls until the condition holds, with a deadline. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const until = performance.now() + DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > until) throw new Error(`waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
