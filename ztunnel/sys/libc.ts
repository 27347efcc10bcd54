/**
 * The functions of the C library that Node does not offer, bound once per thread, and the numbers of
 * Linux's socket API. The only file that touches koffi. Looked up in the running process itself, so
 * that glibc and musl both do.
 */
import os from "node:os";
import koffi from "koffi";
import { MeshError } from "#common/runtime/errors.ts";

// include/uapi/asm-generic/socket.h, in.h, in6.h, sched.h and fcntl.h: equal on x86-64 and arm64.
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const SOCK_STREAM = 1;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_IP = 0;
export const SOL_SOCKET = 1;
export const SOL_IPV6 = 41;
export const SO_REUSEADDR = 2;
export const SO_REUSEPORT = 15;
export const SO_MARK = 36;
export const IP_TRANSPARENT = 19;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IPV6_V6ONLY = 26;
export const IPV6_TRANSPARENT = 75;
/** At SOL_IP and, with the same number (IP6T_SO_ORIGINAL_DST), at SOL_IPV6. netfilter_ipv4.h. */
export const SO_ORIGINAL_DST = 80;
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
    close: self.func("int close(int fd)"),
    setsockopt: self.func(
      "int setsockopt(int fd, int level, int name, const void *value, uint32_t len)",
    ),
    send: self.func("intptr_t send(int fd, const void *buf, uintptr_t len, int flags)"),
    recv: self.func("intptr_t recv(int fd, void *buf, uintptr_t len, int flags)"),
    getsockopt: self.func("int getsockopt(int fd, int level, int name, void *value, void *len)"),
  };
}

const ERRNO_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(os.constants.errno).map(([name, number]) => [number, name]),
);

/** The name of the thread's last error ("ENOENT"), or "E<number>" where Node knows no name. */
export function errnoName(): string {
  const number = koffi.errno();
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
