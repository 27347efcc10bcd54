/**
 * Plain TCP sockets under epoll, for programs that have nothing else to do and must be light: load
 * generators and their servers. The thread sleeps in the kernel; there is no event loop, no object
 * per request and no timer coarser than the kernel's. Sockets are plain descriptors.
 */
import type { SocketAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import {
  AF_INET,
  AF_INET6,
  type EpollLibc,
  errnoName,
  IPPROTO_TCP,
  type Libc,
  loadEpollLibc,
  loadLibc,
  loadSocketLibc,
  MSG_NOSIGNAL,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOCKADDR_MAX_BYTES,
  SOL_SOCKET,
  type SocketLibc,
  TCP_NODELAY,
  throwErrno,
} from "./libc.ts";
import { writeSocketAddress } from "./socket-address.ts";

// sys/epoll.h, sys/timerfd.h, linux/time.h
const EPOLL_CTL_ADD = 1;
export const READABLE = 0x001;
export const WRITABLE = 0x004;
/** EPOLLERR or EPOLLHUP: the connection failed, or both sides have ended it. */
export const BROKEN = 0x018;
const EDGE_TRIGGERED = 0x8000_0000 | 0;
const CLOCK_MONOTONIC = 1;
const ITIMERSPEC_BYTES = 32;
const EXPIRATIONS_BYTES = 8;
const NANOSECONDS = 1_000_000_000n;
/** struct epoll_event is packed on x86-64 only. */
const EVENT_BYTES = process.arch === "x64" ? 12 : 16;
const EVENT_DATA = EVENT_BYTES - 8;
const SOCKET_TYPE = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

export class SocketPoller {
  readonly #libc: Libc = loadLibc();
  readonly #sockets: SocketLibc = loadSocketLibc();
  readonly #epollLibc: EpollLibc = loadEpollLibc();
  readonly #epoll: number;
  readonly #eventsMax: number;
  readonly #events: Buffer;
  readonly #event = Buffer.alloc(EVENT_BYTES);
  readonly #address = Buffer.alloc(SOCKADDR_MAX_BYTES);
  readonly #expirations = Buffer.alloc(EXPIRATIONS_BYTES);
  readonly #on = new Int32Array([1]);

  /** `eventsMax`: how many events one `wait` brings at most. */
  constructor(eventsMax = 256) {
    this.#eventsMax = eventsMax;
    this.#events = Buffer.alloc(eventsMax * EVENT_BYTES);
    this.#epoll = this.#epollLibc.epoll_create1(SOCK_CLOEXEC);
    if (this.#epoll < 0) throwErrno("epoll_create1");
  }

  /** A watched listening socket: readable as long as connections wait. */
  listen(address: SocketAddress, backlog: number): number {
    const fd = this.#socket(address);
    const { setsockopt, bind, listen } = this.#libc;
    const length = writeSocketAddress(this.#address, address.ip, address.port);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, this.#on, 4) < 0) throwErrno("SO_REUSEADDR");
    if (bind(fd, this.#address, length) < 0) throwErrno(`bind ${address.ip} port ${address.port}`);
    if (listen(fd, backlog) < 0) throwErrno(`listen on ${address.ip} port ${address.port}`);
    this.#watch(fd, READABLE);
    return fd;
  }

  /** A watched connection, readable as long as bytes wait; -1 when there is none to accept. */
  accept(listener: number): number {
    const fd = this.#sockets.accept4(listener, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return nothingYet("accept");
    this.#setNoDelay(fd);
    this.#watch(fd, READABLE);
    return fd;
  }

  /**
   * Starts to connect. The socket is reported once for each change: writable when it is connected,
   * readable when bytes come, broken when it failed. -1 where there is no local port left.
   */
  connect(address: SocketAddress): number {
    const fd = this.#socket(address);
    this.#setNoDelay(fd);
    const length = writeSocketAddress(this.#address, address.ip, address.port);
    if (this.#sockets.connect(fd, this.#address, length) < 0) {
      const code = errnoName();
      if (code !== "EINPROGRESS") {
        this.close(fd);
        if (code === "EADDRNOTAVAIL") return -1;
        throw new MeshError(code, `connect to ${address.ip} port ${address.port} failed: ${code}`);
      }
    }
    this.#watch(fd, READABLE | WRITABLE | EDGE_TRIGGERED);
    return fd;
  }

  /** Watches a descriptor of any other kind that can be polled, such as standard input. */
  watchReadable(fd: number): void {
    this.#watch(fd, READABLE);
  }

  /** A descriptor that is readable after each period, without drift, until `clearTimer`. */
  startTimer(periodNs: number): number {
    const fd = this.#epollLibc.timerfd_create(CLOCK_MONOTONIC, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) throwErrno("timerfd_create");
    const value = Buffer.alloc(ITIMERSPEC_BYTES);
    const period = BigInt(Math.round(periodNs));
    for (const at of [0, 16]) {
      value.writeBigInt64LE(period / NANOSECONDS, at);
      value.writeBigInt64LE(period % NANOSECONDS, at + 8);
    }
    if (this.#epollLibc.timerfd_settime(fd, 0, value, null) < 0) throwErrno("timerfd_settime");
    this.#watch(fd, READABLE);
    return fd;
  }

  /** To be called when the timer is readable: the kernel does not go on before. */
  clearTimer(fd: number): void {
    this.#epollLibc.read(fd, this.#expirations, EXPIRATIONS_BYTES);
  }

  /** Sleeps until something happens; how many events there are. -1 as timeout is for ever. */
  wait(timeoutMs: number): number {
    const count = this.#epollLibc.epoll_wait(this.#epoll, this.#events, this.#eventsMax, timeoutMs);
    if (count >= 0) return count;
    return errnoName() === "EINTR" ? 0 : throwErrno("epoll_wait");
  }

  /** The descriptor of an event of the last `wait`. */
  fdAt(event: number): number {
    return this.#events.readInt32LE(event * EVENT_BYTES + EVENT_DATA);
  }

  /** READABLE, WRITABLE and BROKEN of an event of the last `wait`, as bits. */
  eventsAt(event: number): number {
    return this.#events.readInt32LE(event * EVENT_BYTES);
  }

  /**
   * Bytes received; 0 at the end of the connection, also where it was reset; -1 for nothing yet.
   */
  receive(fd: number, buffer: Buffer): number {
    const count = this.#libc.recv(fd, buffer, buffer.length, 0);
    if (count >= 0) return count;
    const code = errnoName();
    return code === "EAGAIN" ? -1 : 0;
  }

  /** Bytes taken by the kernel; -1 where the connection is gone or its buffer full. */
  send(fd: number, buffer: Buffer, length: number): number {
    return this.#libc.send(fd, buffer, length, MSG_NOSIGNAL);
  }

  close(fd: number): void {
    this.#libc.close(fd);
  }

  #socket({ ip }: SocketAddress): number {
    const fd = this.#libc.socket(ip.includes(":") ? AF_INET6 : AF_INET, SOCKET_TYPE, 0);
    return fd < 0 ? throwErrno("socket") : fd;
  }

  #setNoDelay(fd: number): void {
    if (this.#libc.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, this.#on, 4) < 0) {
      throwErrno("TCP_NODELAY");
    }
  }

  #watch(fd: number, events: number): void {
    this.#event.writeInt32LE(events, 0);
    this.#event.writeInt32LE(fd, EVENT_DATA);
    if (this.#epollLibc.epoll_ctl(this.#epoll, EPOLL_CTL_ADD, fd, this.#event) < 0) {
      throwErrno(`watch descriptor ${fd}`);
    }
  }
}

function nothingYet(what: string): -1 {
  const code = errnoName();
  if (code === "EAGAIN" || code === "ECONNABORTED") return -1;
  throw new MeshError(code, `${what} failed: ${code}`);
}
