/**
 * SOCK_SEQPACKET sockets in the file system, which Node does not have: whole messages in order, and
 * a descriptor beside one by SCM_RIGHTS. What a CNI agent and ztunnel talk over (ZDS).
 */
import fs from "node:fs";
import { MeshError } from "#common/runtime/errors.ts";
import {
  AF_UNIX,
  errnoName,
  type Libc,
  loadLibc,
  loadSocketLibc,
  MSG_CMSG_CLOEXEC,
  MSG_NOSIGNAL,
  memoryAddress,
  onceReadable,
  SCM_RIGHTS,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOL_SOCKET,
  type SocketLibc,
  throwErrno,
} from "./libc.ts";

const SOCKET_TYPE = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
const BACKLOG = 16;
/** A message above this does not fit and is cut by the kernel, which `receive` refuses. */
const MESSAGE_MAX_BYTES = 64 * 1024;
/** sizeof(sockaddr_un.sun_path), its final zero included. */
const PATH_MAX_BYTES = 108;

// struct msghdr, struct iovec and struct cmsghdr of 64-bit Linux: equal on x86-64 and arm64.
const MSGHDR_BYTES = 56;
const MSGHDR_IOV = 16;
const MSGHDR_IOVLEN = 24;
const MSGHDR_CONTROL = 32;
const MSGHDR_CONTROLLEN = 40;
const MSGHDR_FLAGS = 48;
const IOVEC_BYTES = 16;
const CMSGHDR_BYTES = 16;
const CMSG_LEN_ONE_FD = CMSGHDR_BYTES + 4;
/** CMSG_SPACE of one descriptor. */
const CMSG_SPACE_ONE_FD = 24;
const MSG_CTRUNC = 0x08;
const MSG_TRUNC = 0x20;

export interface SeqpacketMessage {
  readonly data: Buffer;
  /** The descriptor that came with it, now the receiver's to close. */
  readonly fd: number | undefined;
}

/** One connection. At most one `receive` at a time. */
export interface SeqpacketConnection {
  /** Sends one message, and a copy of `fd` with it. Throws EPIPE where nobody listens any more. */
  send(data: Uint8Array, fd?: number): Promise<void>;
  /** The next message; undefined at the end of the connection, also by `close`. */
  receive(): Promise<SeqpacketMessage | undefined>;
  close(): void;
}

export interface SeqpacketListener {
  /** The next connection; undefined after `close`. */
  accept(): Promise<SeqpacketConnection | undefined>;
  /** Stops listening and removes the socket's file. Accepted connections go on. */
  close(): void;
}

/** Listens on a path where there is no file yet. */
export function listenSeqpacket(path: string): SeqpacketListener {
  const libc = loadLibc();
  const sockets = loadSocketLibc();
  const fd = openSocket(libc);
  try {
    const address = unixAddress(path);
    if (libc.bind(fd, address, address.length) < 0) throwErrno(`bind ${path}`);
    if (libc.listen(fd, BACKLOG) < 0) throwErrno(`listen on ${path}`);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  const socket = new PolledDescriptor(fd, libc);
  const file = fs.statSync(path).ino;
  return {
    async accept() {
      const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
      const accepted = await socket.attempt(`accept on ${path}`, () =>
        sockets.accept4(fd, null, null, flags),
      );
      return accepted === undefined ? undefined : new Connection(accepted, libc, sockets);
    },
    close() {
      // By then the path may be that of a listener that has taken this one's place.
      const current = fs.statSync(path, { throwIfNoEntry: false })?.ino;
      if (socket.close() && current === file) fs.rmSync(path, { force: true });
    },
  };
}

export function connectSeqpacket(path: string): SeqpacketConnection {
  const libc = loadLibc();
  const sockets = loadSocketLibc();
  const fd = openSocket(libc);
  const address = unixAddress(path);
  if (sockets.connect(fd, address, address.length) < 0) {
    const code = errnoName();
    libc.close(fd);
    throw new MeshError(code, `connect to ${path} failed: ${code}`);
  }
  return new Connection(fd, libc, sockets);
}

function openSocket(libc: Libc): number {
  const fd = libc.socket(AF_UNIX, SOCKET_TYPE, 0);
  return fd < 0 ? throwErrno("open a unix socket") : fd;
}

function unixAddress(path: string): Buffer {
  const bytes = Buffer.from(path);
  if (bytes.length >= PATH_MAX_BYTES) {
    throw new MeshError("ENAMETOOLONG", `${path} is too long for a unix socket`, {
      hint: `use a path of less than ${PATH_MAX_BYTES} bytes`,
    });
  }
  const address = Buffer.alloc(2 + bytes.length + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  address.set(bytes, 2);
  return address;
}

/** A non-blocking descriptor that is asked again whenever the event loop sees something on it. */
class PolledDescriptor {
  readonly #fd: number;
  readonly #libc: Libc;
  #closed = false;
  #waiting: { readonly poll: { close(): void }; readonly wake: () => void } | undefined;

  constructor(fd: number, libc: Libc) {
    this.#fd = fd;
    this.#libc = libc;
  }

  /**
   * Calls until the result is not "nothing yet"; undefined once closed. Throws what the kernel
   * says.
   */
  async attempt(what: string, call: () => number): Promise<number | undefined> {
    while (!this.#closed) {
      const result = call();
      if (result >= 0) return result;
      const code = errnoName();
      if (code === "EAGAIN") await this.#readable();
      else if (code !== "EINTR") throw new MeshError(code, `${what} failed: ${code}`);
    }
    return undefined;
  }

  /** True the first time. */
  close(): boolean {
    if (this.#closed) return false;
    this.#closed = true;
    this.#waiting?.poll.close();
    this.#waiting?.wake();
    this.#libc.close(this.#fd);
    return true;
  }

  #readable(): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting = undefined;
        resolve();
      };
      this.#waiting = { poll: onceReadable(this.#fd, wake), wake };
    });
  }
}

class Connection implements SeqpacketConnection {
  readonly #fd: number;
  readonly #libc: Libc;
  readonly #socket: PolledDescriptor;
  readonly #sockets: SocketLibc;

  constructor(fd: number, libc: Libc, sockets: SocketLibc) {
    this.#fd = fd;
    this.#libc = libc;
    this.#socket = new PolledDescriptor(fd, libc);
    this.#sockets = sockets;
  }

  async send(data: Uint8Array, fd?: number): Promise<void> {
    const message = new MessageHeader(Buffer.from(data), fd);
    const sent = await this.#socket.attempt("send a message", () =>
      this.#sockets.sendmsg(this.#fd, message.header, MSG_NOSIGNAL),
    );
    if (sent === undefined) throw new MeshError("EPIPE", "the connection is closed");
  }

  async receive(): Promise<SeqpacketMessage | undefined> {
    const message = new MessageHeader(Buffer.alloc(MESSAGE_MAX_BYTES), -1);
    const length = await this.#socket.attempt("receive a message", () =>
      this.#sockets.recvmsg(this.#fd, message.header, MSG_CMSG_CLOEXEC),
    );
    if (length === undefined || length === 0) return undefined;
    if (message.truncated) {
      if (message.receivedFd !== undefined) this.#libc.close(message.receivedFd);
      const text = `a message of more than ${MESSAGE_MAX_BYTES} bytes, or one descriptor, arrived`;
      throw new MeshError("EMSGSIZE", text);
    }
    return { data: message.data.subarray(0, length), fd: message.receivedFd };
  }

  close(): void {
    this.#socket.close();
  }
}

/** A struct msghdr with what it points to. */
class MessageHeader {
  readonly header = Buffer.alloc(MSGHDR_BYTES);
  readonly data: Buffer;
  readonly #iovec = Buffer.alloc(IOVEC_BYTES);
  readonly #control = Buffer.alloc(CMSG_SPACE_ONE_FD);

  /** `fd` is passed on; undefined for none, -1 makes room for one to be received. */
  constructor(data: Buffer, fd: number | undefined) {
    this.data = data;
    this.#iovec.writeBigUInt64LE(memoryAddress(data), 0);
    this.#iovec.writeBigUInt64LE(BigInt(data.length), 8);
    this.header.writeBigUInt64LE(memoryAddress(this.#iovec), MSGHDR_IOV);
    this.header.writeBigUInt64LE(1n, MSGHDR_IOVLEN);
    if (fd === undefined) return;
    this.header.writeBigUInt64LE(memoryAddress(this.#control), MSGHDR_CONTROL);
    // What is received needs no padding, in which the kernel would put a second descriptor.
    const length = fd < 0 ? CMSG_LEN_ONE_FD : CMSG_SPACE_ONE_FD;
    this.header.writeBigUInt64LE(BigInt(length), MSGHDR_CONTROLLEN);
    if (fd < 0) return;
    this.#control.writeBigUInt64LE(BigInt(CMSG_LEN_ONE_FD), 0);
    this.#control.writeInt32LE(SOL_SOCKET, 8);
    this.#control.writeInt32LE(SCM_RIGHTS, 12);
    this.#control.writeInt32LE(fd, CMSGHDR_BYTES);
  }

  get truncated(): boolean {
    return (this.header.readInt32LE(MSGHDR_FLAGS) & (MSG_TRUNC | MSG_CTRUNC)) !== 0;
  }

  get receivedFd(): number | undefined {
    const length = this.header.readBigUInt64LE(MSGHDR_CONTROLLEN);
    return length < BigInt(CMSG_LEN_ONE_FD) ? undefined : this.#control.readInt32LE(CMSGHDR_BYTES);
  }
}
