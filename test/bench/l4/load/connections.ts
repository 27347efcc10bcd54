/** A fixed number of connections under one poller, each known by its number from 0. */
import type { SocketAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { BROKEN, READABLE, type SocketPoller, WRITABLE } from "#ztunnel/sys/socket-poller.ts";

/** Descriptors are smaller than this: the kernel's bound on them (fs.nr_open) is. */
const DESCRIPTORS_MAX = 1 << 20;
const CONNECT_TIMEOUT_MS = 10_000;

export class Connections {
  readonly poller: SocketPoller;
  readonly count: number;
  readonly #fds: Int32Array;
  readonly #numbers = new Int32Array(DESCRIPTORS_MAX).fill(-1);

  constructor(poller: SocketPoller, count: number) {
    this.poller = poller;
    this.count = count;
    this.#fds = new Int32Array(count).fill(-1);
  }

  /** The connection that a descriptor belongs to; -1 for other descriptors. */
  numberOf(fd: number): number {
    return this.#numbers[fd] ?? -1;
  }

  fd(connection: number): number {
    return this.#fds[connection] ?? -1;
  }

  /** Starts to connect; false where no local port is free. */
  open(connection: number, target: SocketAddress): boolean {
    const fd = this.poller.connect(target);
    if (fd < 0) return false;
    this.#fds[connection] = fd;
    this.#numbers[fd] = connection;
    return true;
  }

  close(connection: number): void {
    const fd = this.fd(connection);
    if (fd < 0) return;
    this.#fds[connection] = -1;
    this.#numbers[fd] = -1;
    this.poller.close(fd);
  }

  closeAll(): void {
    for (let connection = 0; connection < this.count; connection++) this.close(connection);
  }

  /** Opens all of them and returns when they are connected. Throws if one is refused. */
  openAll(target: SocketAddress): void {
    const connected = new Set<number>();
    for (let connection = 0; connection < this.count; connection++) this.open(connection, target);
    const deadline = performance.now() + CONNECT_TIMEOUT_MS;
    while (connected.size < this.count && performance.now() < deadline) {
      const events = this.poller.wait(100);
      for (let i = 0; i < events; i++) {
        const bits = this.poller.eventsAt(i);
        const connection = this.numberOf(this.poller.fdAt(i));
        if (connection < 0) continue;
        if (bits & (BROKEN | READABLE)) throw notConnected(target);
        if (bits & WRITABLE) connected.add(connection);
      }
    }
    if (connected.size < this.count) throw notConnected(target);
  }
}

function notConnected({ ip, port }: SocketAddress): MeshError {
  return new MeshError("CONNECT_FAILED", `a connection to ${ip} port ${port} was not made`);
}
