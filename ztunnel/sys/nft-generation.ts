/**
 * The generation of the current namespace's nftables rules, by netlink: microseconds, no process.
 */
import { MeshError } from "#common/runtime/errors.ts";
import { AF_NETLINK, type Libc, SOCK_CLOEXEC, SOCK_RAW, throwErrno } from "./libc.ts";

// linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
const NETLINK_NETFILTER = 12;
const NLM_F_REQUEST = 1;
const NLMSG_ERROR = 2;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWGEN = 15;
const NFT_MSG_GETGEN = 16;
const NFTA_GEN_ID = 1;
/** struct nlmsghdr and struct nfgenmsg. */
const NLMSG_HEADER_BYTES = 16;
const REQUEST_BYTES = NLMSG_HEADER_BYTES + 4;
const ANSWER_BYTES = 4096;
const NLA_TYPE_MASK = 0x3fff;

/** Throws the errno of a refusal, e.g. EPERM without CAP_NET_ADMIN. */
export function readNftGeneration(libc: Libc): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) throwErrno("open netlink socket");
  try {
    const sent = libc.send(fd, generationRequest(), REQUEST_BYTES, 0);
    if (sent < 0) throwErrno("ask for the nftables generation");
    const answer = Buffer.alloc(ANSWER_BYTES);
    const length = libc.recv(fd, answer, ANSWER_BYTES, 0);
    if (length < 0) throwErrno("read the nftables generation");
    return parseGeneration(answer.subarray(0, length));
  } finally {
    libc.close(fd);
  }
}

function generationRequest(): Buffer {
  const request = Buffer.alloc(REQUEST_BYTES);
  request.writeUInt32LE(REQUEST_BYTES, 0);
  request.writeUInt16LE((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN, 4);
  request.writeUInt16LE(NLM_F_REQUEST, 6);
  return request;
}

function parseGeneration(message: Buffer): number {
  const type = message.readUInt16LE(4);
  if (type === NLMSG_ERROR) {
    const number = -message.readInt32LE(NLMSG_HEADER_BYTES);
    throw new MeshError(
      "NFTABLES_UNAVAILABLE",
      `the kernel refused the nftables generation (errno ${number})`,
      {
        hint: "nftables needs CAP_NET_ADMIN and the kernel option NF_TABLES",
      },
    );
  }
  if (type === ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN)) {
    for (let at = REQUEST_BYTES; at + 8 <= message.length; ) {
      const length = message.readUInt16LE(at);
      if ((message.readUInt16LE(at + 2) & NLA_TYPE_MASK) === NFTA_GEN_ID) {
        return message.readUInt32BE(at + 4);
      }
      at += Math.max(4, (length + 3) & ~3);
    }
  }
  throw new MeshError("NFTABLES_UNAVAILABLE", `unexpected netlink answer of type ${type}`);
}
