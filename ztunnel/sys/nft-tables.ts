/**
 * What nftables tables hold, read from the kernel by netlink: no process is started, and the cost
 * follows the size of these tables, whatever else there is in the namespace.
 */
import { createHash } from "node:crypto";
import { MeshError } from "#common/runtime/errors.ts";
import type { Libc } from "./libc.ts";
import {
  attribute,
  decodeAttributes,
  findAttribute,
  type NetlinkMessage,
  NLM_F_DUMP_INTR,
  text,
} from "./netlink-message.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "./netlink-socket.ts";

/** linux/netfilter/nfnetlink.h and nf_tables.h */
const NFNL_SUBSYS_NFTABLES = 10;
const NFPROTO_INET = 1;
const NFT_MSG_GETTABLE = 1;
const NFT_MSG_GETCHAIN = 4;
const NFT_MSG_GETRULE = 7;
const NFTA_TABLE_NAME = 1;
const NFTA_TABLE_HANDLE = 4;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_HANDLE = 2;
const NFTA_CHAIN_NAME = 3;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_HANDLE = 3;
const NFTA_RULE_POSITION = 6;
/** struct nfgenmsg. */
const NFGEN_BYTES = 4;
/** A dump that the rules were changed under is made again, so often at most. */
const DUMP_ATTEMPTS = 4;
/** Rules of one table that are looked at; beyond it the table counts as changed. */
const RULES_MAX = 1_024;

export interface NftTable {
  readonly rules: number;
  /**
   * Of all that the table's flags, chains and rules say, their order included. Equal for equal
   * content, also after it was deleted and made again; elements of named sets are not part of it.
   */
  readonly digest: string;
}

/** One table of family inet; undefined if there is none of that name. */
export function readNftTable(libc: Libc, name: string): NftTable | undefined {
  using socket = new NetlinkSocket(libc, NETLINK_NETFILTER);
  for (let attempt = 1; ; attempt++) {
    try {
      return readTable(socket, name);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      // Removed before, or between two of the questions.
      if (error.code === "ENOENT") return undefined;
      if (error.code !== "EINTR" || attempt === DUMP_ATTEMPTS) throw error;
    }
  }
}

function readTable(socket: NetlinkSocket, name: string): NftTable {
  const hash = createHash("sha256");
  const add = (payload: Buffer, ignored: readonly number[]): void => {
    for (const { type, value } of decodeAttributes(payload, NFGEN_BYTES)) {
      if (!ignored.includes(type)) hash.update(`${type}:${value.length}:`).update(value);
    }
  };
  add(ask(socket, NFT_MSG_GETTABLE, attribute(NFTA_TABLE_NAME, text(name))), [NFTA_TABLE_HANDLE]);
  const chains = new Set<string>();
  let rules = 0;
  for (const { payload } of dumpRules(socket, name)) {
    add(payload, [NFTA_RULE_HANDLE, NFTA_RULE_POSITION]);
    chains.add(String(findAttribute(payload, NFGEN_BYTES, NFTA_RULE_CHAIN)).replace(/\0$/, ""));
    rules++;
  }
  for (const chain of chains) {
    const which = [
      attribute(NFTA_CHAIN_TABLE, text(name)),
      attribute(NFTA_CHAIN_NAME, text(chain)),
    ];
    add(ask(socket, NFT_MSG_GETCHAIN, ...which), [NFTA_CHAIN_HANDLE]);
  }
  return { rules, digest: hash.digest("base64") };
}

function* dumpRules(socket: NetlinkSocket, table: string): Generator<NetlinkMessage> {
  const payload = [nfgen(), attribute(NFTA_RULE_TABLE, text(table))];
  let rules = 0;
  let interrupted = false;
  for (const messages of socket.dump({ type: messageType(NFT_MSG_GETRULE), flags: 0, payload })) {
    for (const message of messages) {
      interrupted ||= (message.flags & NLM_F_DUMP_INTR) !== 0;
      // The filter is a wish that older kernels do not know.
      const own = findAttribute(message.payload, NFGEN_BYTES, NFTA_RULE_TABLE);
      if (own?.equals(text(table)) && rules++ < RULES_MAX) yield message;
    }
  }
  if (interrupted) throw new MeshError("EINTR", "the rules were changed while they were read");
}

function ask(socket: NetlinkSocket, type: number, ...attributes: readonly Buffer[]): Buffer {
  return socket.ask({ type: messageType(type), flags: 0, payload: [nfgen(), ...attributes] })
    .payload;
}

function messageType(type: number): number {
  return (NFNL_SUBSYS_NFTABLES << 8) | type;
}

function nfgen(): Buffer {
  return Buffer.from([NFPROTO_INET, 0, 0, 0]);
}
