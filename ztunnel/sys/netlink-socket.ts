/**
 * A netlink socket of the namespace that the thread is in when it is made: questions and their
 * answers, synchronously. The kernel answers while it takes the question, so nothing here waits.
 */
import { MeshError } from "#common/runtime/errors.ts";
import {
  AF_NETLINK,
  errnoName,
  type Libc,
  nameOfErrno,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  throwErrno,
} from "./libc.ts";
import {
  decodeMessages,
  encodeMessage,
  type NetlinkMessage,
  type NetlinkRequest,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLMSG_DONE,
  NLMSG_ERROR,
} from "./netlink-message.ts";

/** linux/netlink.h */
export const NETLINK_ROUTE = 0;
export const NETLINK_SOCK_DIAG = 4;
export const NETLINK_NETFILTER = 12;
/** The kernel makes no larger pieces of a dump. */
const ANSWER_BYTES = 64 * 1024;
/** struct sockaddr_nl. */
const ADDRESS_BYTES = 12;

/** Where answers are read to: every answer is looked at before the next question. */
const answer = Buffer.alloc(ANSWER_BYTES);

export class NetlinkSocket implements Disposable {
  readonly fd: number;
  readonly #libc: Libc;

  /** `groups`: a bit per multicast group to hear of. Throws the errno's name as the code. */
  constructor(libc: Libc, protocol: number, groups = 0) {
    this.#libc = libc;
    this.fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (this.fd < 0) throwErrno("open a netlink socket");
    if (groups === 0) return;
    const address = Buffer.alloc(ADDRESS_BYTES);
    address.writeUInt16LE(AF_NETLINK, 0);
    address.writeUInt32LE(groups, 8);
    if (libc.bind(this.fd, address, ADDRESS_BYTES) >= 0) return;
    const code = errnoName();
    libc.close(this.fd);
    throw new MeshError(code, `listening to netlink events failed: ${code}`);
  }

  /**
   * The one answer to a question. Throws the kernel's refusal with the errno's name as the code.
   */
  ask(request: NetlinkRequest): NetlinkMessage {
    this.#send(request);
    const [message] = [...decodeMessages(this.#receive())];
    if (message === undefined) throw new MeshError("EBADMSG", "netlink gave no answer");
    throwRefusal(message);
    return message;
  }

  /** Has something done. Throws as `ask` does. */
  command(request: NetlinkRequest): void {
    this.ask({ ...request, flags: request.flags | NLM_F_ACK });
  }

  /** What there is, in pieces: each is to be read before the next one is asked for. */
  *dump(request: NetlinkRequest): Generator<readonly NetlinkMessage[]> {
    this.#send({ ...request, flags: request.flags | NLM_F_DUMP });
    for (;;) {
      const messages = [...decodeMessages(this.#receive())];
      if (messages.length === 0) throw new MeshError("EBADMSG", "netlink gave no answer");
      for (const message of messages) throwRefusal(message);
      yield messages.filter(({ type }) => type !== NLMSG_DONE);
      if (messages.some(({ type }) => type === NLMSG_DONE)) return;
    }
  }

  /**
   * Reads and drops up to `count` datagrams of events. False if there were none. An overrun
   * (ENOBUFS) is an event too.
   */
  drain(count: number): boolean {
    for (let read = 0; read < count; read++) {
      if (this.#libc.recv(this.fd, answer, ANSWER_BYTES, 0) >= 0) continue;
      const code = errnoName();
      if (code !== "ENOBUFS" && code !== "EINTR") return read > 0;
    }
    return true;
  }

  [Symbol.dispose](): void {
    this.#libc.close(this.fd);
  }

  #send(request: NetlinkRequest): void {
    const message = encodeMessage(request);
    if (this.#libc.send(this.fd, message, message.length, 0) < 0) throwErrno("ask netlink");
  }

  #receive(): Buffer {
    for (;;) {
      const length = this.#libc.recv(this.fd, answer, ANSWER_BYTES, 0);
      if (length >= 0) return answer.subarray(0, length);
      if (errnoName() !== "EINTR") throwErrno("read netlink's answer");
    }
  }
}

/** An error message with number 0 is an acknowledgement; a dump's end can carry an error too. */
function throwRefusal({ type, payload }: NetlinkMessage): void {
  if (type !== NLMSG_ERROR && type !== NLMSG_DONE) return;
  const number = payload.length >= 4 ? -payload.readInt32LE(0) : 0;
  if (number <= 0) return;
  const code = nameOfErrno(number);
  throw new MeshError(code, `netlink refused: ${code}`);
}
