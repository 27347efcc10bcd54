/**
 * The private parts of Node that the data path leans on, all in this file, each with its reason:
 *
 * - `process.binding('tcp_wrap' | 'stream_wrap')` and the handles that it makes: a `net.Socket` per
 *   connection costs more than everything else that ztunnel's own code does for it.
 * - `server._handle.onconnection`: an accepted handle can be given its read buffer when it is
 *   adopted; the public 'connection' event comes after a Socket without one exists.
 * - `new net.Socket({handle})` and `{manualStart}`: adopt a handle, and read nothing until told to.
 * - `handle.fd`: the descriptor, for system calls that Node lacks.
 *
 * `node-internals.test.ts` fails on a Node that changed any of them. Without the bindings
 * `tcpBinding` gives undefined, and connections are `net.Socket`s (`raw-tcp.ts`).
 */
import net from "node:net";
import { getSystemErrorName } from "node:util";
import { parseIp, type SocketAddress } from "#common/model/ip.ts";
import type { RawTcp, RawTcpOwner } from "./raw-tcp.ts";

/** An accepted connection that nothing owns yet. */
export interface TcpHandle {
  readonly fd: number;
  close(callback?: () => void): void;
  getpeername(out: PeerName): number;
}

/** As libuv knows the address of a peer. */
interface PeerName {
  address?: string;
  port?: number;
}

interface PrivateServer {
  _handle: { onconnection: (status: number, handle: TcpHandle | undefined) => void } | null;
}

/**
 * Calls `onHandle` for each accepted connection in place of the server's own 'connection' event.
 */
export function acceptHandles(
  server: net.Server,
  onHandle: (handle: TcpHandle) => void,
  onError: (status: number) => void,
): void {
  const handle = (server as unknown as PrivateServer)._handle;
  if (handle === null) throw new Error("acceptHandles needs a listening server");
  handle.onconnection = (status, accepted) => {
    if (status !== 0 || accepted === undefined) onError(status);
    else onHandle(accepted);
  };
}

/** The other side of a connection; undefined where it is gone already. */
export function peerOf(handle: TcpHandle): SocketAddress | undefined {
  const peer: PeerName = {};
  if (handle.getpeername(peer) !== 0) return undefined;
  // Of a link-local address comes the interface too (`fe80::1%eth0`), which is no part of it.
  const [text = ""] = (peer.address ?? "").split("%", 1);
  const ip = parseIp(text);
  return ip && { ip, port: peer.port ?? 0 };
}

/** A Socket over an accepted handle; it reads nothing until `resume()`. */
export function adoptHandle(handle: TcpHandle, owner: RawTcpOwner): net.Socket {
  return makeSocket({ handle }, owner);
}

/** A Socket over an unconnected descriptor, to be given to `connect()`; the Socket owns it then. */
export function adoptDescriptor(fd: number, owner?: RawTcpOwner): net.Socket {
  return makeSocket({ fd }, owner);
}

/** The descriptor of an open socket; -1 once it is closed. */
export function descriptorOf(socket: net.Socket): number {
  const { _handle } = socket as unknown as { _handle: { fd: number } | null };
  return _handle?.fd ?? -1;
}

function makeSocket(base: object, owner: RawTcpOwner | undefined): net.Socket {
  // Without an owner it is a tunnel's: a peer that ends it has ended all its streams.
  const reading = owner && {
    allowHalfOpen: true,
    onread: {
      buffer: () => owner.nextBuffer(),
      callback: (byteCount: number, buffer: Uint8Array) => owner.onRead(byteCount, buffer),
    },
  };
  const socket = new net.Socket({
    ...base,
    ...reading,
    manualStart: true,
  } as net.SocketConstructorOpts);
  return socket;
}

/** Node's own handle of a TCP connection. */
interface NativeHandle extends TcpHandle {
  /** Called with `streamState` filled; gives the buffer of the next read, if it is another. */
  onread: (this: NativeHandle) => Uint8Array | undefined;
  [OWNER]?: HandleTcp;
  open(fd: number): number;
  connect(request: object, ip: string, port: number): number;
  connect6(request: object, ip: string, port: number): number;
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: null, chunk: Uint8Array): number | WriteRequest;
  writev(request: null, chunks: readonly Uint8Array[], allBuffers: true): number | WriteRequest;
}

/** A write that did not end at once. */
interface WriteRequest {
  oncomplete: (status: number) => void;
  /** Set where it ended before `oncomplete` was. */
  writeStatus: number | null;
  /** Kept from the garbage collector until the end. */
  buffer: unknown;
}

/** What `HandleTcp` needs of Node. */
export interface TcpBinding {
  readonly makeHandle: () => TcpHandle;
  readonly makeConnectRequest: () => { oncomplete: (status: number) => void };
  /** Results of the latest call or callback of any handle, at these places. */
  readonly streamState: Readonly<Record<number, number>>;
  readonly readPlace: number;
  readonly writeErrorPlace: number;
}

const OWNER = Symbol("HandleTcp");
/** UV_EOF. */
const END_OF_FILE = -4095;

interface PrivateProcess {
  binding(name: "tcp_wrap"): {
    readonly TCP: { new (type: number): TcpHandle; readonly prototype: object };
    readonly TCPConnectWrap: new () => { oncomplete: (status: number) => void };
    readonly constants: { readonly SOCKET: number };
  };
  binding(name: "stream_wrap"): {
    readonly streamBaseState: Readonly<Record<number, number>>;
    readonly kReadBytesOrError: number;
    /** Only where `write` takes null for its request and gives one if it needs it. */
    readonly kLastWriteErr?: number;
  };
}

/** Undefined on a Node whose handles are not those that `HandleTcp` was written for. */
export function tcpBinding(): TcpBinding | undefined {
  try {
    const { binding } = process as unknown as PrivateProcess;
    const { TCP, TCPConnectWrap, constants } = binding("tcp_wrap");
    const { streamBaseState, kReadBytesOrError, kLastWriteErr } = binding("stream_wrap");
    const wanted = ["open", "connect", "connect6", "readStart", "writev", "useUserBuffer"];
    const known = wanted.every((name) => name in TCP.prototype);
    if (!known || kLastWriteErr === undefined || streamBaseState === undefined) return undefined;
    return {
      makeHandle: () => new TCP(constants.SOCKET),
      makeConnectRequest: () => new TCPConnectWrap(),
      streamState: streamBaseState,
      readPlace: kReadBytesOrError,
      writeErrorPlace: kLastWriteErr,
    };
  } catch {
    return undefined; // This Node has no such bindings.
  }
}

/** `RawTcp` over Node's own handle. */
export class HandleTcp implements RawTcp {
  readonly #binding: TcpBinding;
  readonly #handle: NativeHandle;
  readonly #owner: RawTcpOwner;
  /** Where the next read goes; libuv holds no reference to it. */
  #buffer: Uint8Array | undefined;
  #closed = false;

  constructor(binding: TcpBinding, handle: TcpHandle, owner: RawTcpOwner) {
    this.#binding = binding;
    this.#handle = handle as NativeHandle;
    this.#owner = owner;
    this.#handle[OWNER] = this;
    this.#handle.onread = onHandleRead;
  }

  /** Over an unconnected descriptor, which it owns then; throws where it is none. */
  static connecting(binding: TcpBinding, fd: number, owner: RawTcpOwner): HandleTcp {
    const handle = binding.makeHandle() as NativeHandle;
    const status = handle.open(fd);
    if (status !== 0) throw systemError("open", status);
    return new HandleTcp(binding, handle, owner);
  }

  get descriptor(): number {
    return this.#closed ? -1 : this.#handle.fd;
  }

  connect(ip: string, port: number, done: (error: Error | undefined) => void): void {
    const request = this.#binding.makeConnectRequest();
    request.oncomplete = (status) => {
      if (!this.#closed) done(status === 0 ? undefined : systemError("connect", status));
    };
    const handle = this.#handle;
    const status = ip.includes(":")
      ? handle.connect6(request, ip, port)
      : handle.connect(request, ip, port);
    if (status !== 0) done(systemError("connect", status));
  }

  startReading(): void {
    if (this.#buffer === undefined) {
      this.#buffer = this.#owner.nextBuffer();
      this.#handle.useUserBuffer(this.#buffer);
    }
    const status = this.#handle.readStart();
    if (status !== 0) this.#broken("read", status);
  }

  stopReading(): void {
    this.#handle.readStop();
  }

  write(chunks: Uint8Array[]): "written" | "pending" | Error {
    const [only] = chunks;
    const result =
      only !== undefined && chunks.length === 1
        ? this.#handle.writeBuffer(null, only)
        : this.#handle.writev(null, chunks, true);
    if (typeof result === "number") return result === 0 ? "written" : systemError("write", result);
    const { streamState, writeErrorPlace } = this.#binding;
    const error = streamState[writeErrorPlace] ?? 0;
    if (error !== 0) return systemError("write", error);
    result.buffer = chunks;
    result.oncomplete = (status) => this.#written(status);
    if (result.writeStatus === null) return "pending";
    return result.writeStatus === 0 ? "written" : systemError("write", result.writeStatus);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handle.close();
  }

  /** Called by the handle; returns the buffer of the next read if it is another. */
  readCompleted(): Uint8Array | undefined {
    const { streamState, readPlace } = this.#binding;
    const result = streamState[readPlace] ?? 0;
    const buffer = this.#buffer;
    if (this.#closed || result === 0 || buffer === undefined) return undefined;
    if (result === END_OF_FILE) this.#owner.onReadEnd();
    if (result < 0) {
      if (result !== END_OF_FILE) this.#broken("read", result);
      return undefined;
    }
    const more = this.#owner.onRead(result, buffer);
    if (this.#closed) return undefined;
    if (!more) this.#handle.readStop();
    this.#buffer = this.#owner.nextBuffer();
    return this.#buffer === buffer ? undefined : this.#buffer;
  }

  #written(status: number): void {
    if (this.#closed) return;
    if (status === 0) this.#owner.onWritten();
    else this.#broken("write", status);
  }

  #broken(call: string, status: number): void {
    this.#owner.onBroken(systemError(call, status));
  }
}

function onHandleRead(this: NativeHandle): Uint8Array | undefined {
  return this[OWNER]?.readCompleted();
}

/** As Node's own errors of system calls read: "read ECONNRESET". */
function systemError(call: string, status: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`${call} ${code}`), { code, errno: status, syscall: call });
}
