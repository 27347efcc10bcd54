/**
 * The functions of the C library that Node does not offer, bound once per thread, and the numbers
 * of Linux's socket API. The only file that touches koffi. Looked up in the running process itself,
 * so that glibc and musl both do.
 */
import os from "node:os";
import koffi from "koffi";
import { MeshError } from "#common/runtime/errors.ts";

// include/uapi/asm-generic/socket.h, in.h, in6.h, sched.h and fcntl.h: equal on x86-64 and arm64.
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_IP = 0;
export const SOL_SOCKET = 1;
export const SOL_TCP = 6;
export const SOL_IPV6 = 41;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const TCP_NODELAY = 1;
export const SO_REUSEADDR = 2;
export const SO_KEEPALIVE = 9;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_MARK = 36;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_USER_TIMEOUT = 18;
export const IP_TRANSPARENT = 19;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IPV6_V6ONLY = 26;
export const IPV6_TRANSPARENT = 75;
/** At SOL_IP and, with the same number (IP6T_SO_ORIGINAL_DST), at SOL_IPV6. netfilter_ipv4.h. */
export const SO_ORIGINAL_DST = 80;
export const SHUT_WR = 1;
export const SCM_RIGHTS = 1;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x40000000;
export const CLONE_NEWNET = 0x40000000;
/** sizeof(struct sockaddr_in6); a struct sockaddr_in has 16 bytes. */
export const SOCKADDR_MAX_BYTES = 28;

/** Each returns -1 on failure; `throwErrno` then tells why. */
export interface Libc {
  setns(fd: number, type: number): number;
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  listen(fd: number, backlog: number): number;
  close(fd: number): number;
  shutdown(fd: number, how: number): number;
  setsockopt(fd: number, level: number, name: number, value: Int32Array, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Buffer, length: Int32Array): number;
  send(fd: number, data: Buffer, length: number, flags: number): number;
  recv(fd: number, data: Buffer, length: number, flags: number): number;
}

export function loadLibc(): Libc {
  const self = koffi.load(null);
  return {
    setns: self.func("int setns(int fd, int nstype)"),
    socket: self.func("int socket(int domain, int type, int protocol)"),
    bind: self.func("int bind(int fd, const void *addr, uint32_t len)"),
    listen: self.func("int listen(int fd, int backlog)"),
    shutdown: self.func("int shutdown(int fd, int how)"),
    close: self.func("int close(int fd)"),
    setsockopt: self.func(
      "int setsockopt(int fd, int level, int name, const void *value, uint32_t len)",
    ),
    send: self.func("intptr_t send(int fd, const void *buf, uintptr_t len, int flags)"),
    recv: self.func("intptr_t recv(int fd, void *buf, uintptr_t len, int flags)"),
    getsockopt: self.func("int getsockopt(int fd, int level, int name, void *value, void *len)"),
  };
}

/** What sockets need that connect by themselves and pass descriptors. -1 is failure, as above. */
export interface SocketLibc {
  connect(fd: number, address: Uint8Array, length: number): number;
  accept4(fd: number, address: null, length: null, flags: number): number;
  sendmsg(fd: number, message: Buffer, flags: number): number;
  recvmsg(fd: number, message: Buffer, flags: number): number;
}

export function loadSocketLibc(): SocketLibc {
  const self = koffi.load(null);
  return {
    connect: self.func("int connect(int fd, const void *addr, uint32_t len)"),
    accept4: self.func("int accept4(int fd, void *addr, void *len, int flags)"),
    sendmsg: self.func("intptr_t sendmsg(int fd, const void *msg, int flags)"),
    recvmsg: self.func("intptr_t recvmsg(int fd, void *msg, int flags)"),
  };
}

/** Waiting without an event loop. -1 is failure, as above. */
export interface EpollLibc {
  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, operation: number, fd: number, event: Buffer): number;
  epoll_wait(epoll: number, events: Buffer, maxEvents: number, timeoutMs: number): number;
  read(fd: number, data: Buffer, length: number): number;
  timerfd_create(clock: number, flags: number): number;
  timerfd_settime(fd: number, flags: number, value: Buffer, old: null): number;
}

export function loadEpollLibc(): EpollLibc {
  const self = koffi.load(null);
  return {
    epoll_create1: self.func("int epoll_create1(int flags)"),
    epoll_ctl: self.func("int epoll_ctl(int epfd, int op, int fd, void *event)"),
    epoll_wait: self.func("int epoll_wait(int epfd, void *events, int max, int timeout)"),
    read: self.func("intptr_t read(int fd, void *data, uintptr_t len)"),
    timerfd_create: self.func("int timerfd_create(int clock, int flags)"),
    timerfd_settime: self.func(
      "int timerfd_settime(int fd, int flags, const void *value, void *old)",
    ),
  };
}

/**
 * The address of a buffer's memory, for structures with pointers. The buffer must outlive its use.
 */
export function memoryAddress(buffer: Buffer): bigint {
  return koffi.address(buffer);
}

/** Calls back once, from the event loop, when the descriptor is readable, at its end, or broken. */
export function onceReadable(fd: number, callback: () => void): { close(): void } {
  const handle = koffi.node.poll(fd, { readable: true, disconnect: true }, () => {
    handle.close();
    // What koffi calls is outside of the event loop's turns: promises would stay unresolved.
    setImmediate(callback);
  });
  return handle;
}

/** Of two names of one number the later counts, but EAGAIN, as EWOULDBLOCK is called everywhere. */
const ERRNO_NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(os.constants.errno).map(([name, number]) => [number, name] as const),
  [os.constants.errno.EAGAIN, "EAGAIN"],
]);

/** The name of the thread's last error ("ENOENT"), or "E<number>" where Node knows no name. */
export function errnoName(): string {
  return nameOfErrno(koffi.errno());
}

export function nameOfErrno(number: number): string {
  return ERRNO_NAMES.get(number) ?? `E${number}`;
}

/** Throws the last error of a call; `what` says what was tried, e.g. "bind [::]:15001". */
export function throwErrno(what: string): never {
  const code = errnoName();
  const hint = HINTS[code];
  throw new MeshError(code, `${what} failed: ${code}`, hint === undefined ? {} : { hint });
}

const HINTS: Readonly<Record<string, string>> = {
  EPERM: "run as root, or with the capabilities NET_ADMIN and SYS_ADMIN",
  EMFILE: "raise the limit on open files (ulimit -n)",
  EADDRINUSE: "see who listens there: ss -ltnp, inside the same network namespace",
};
