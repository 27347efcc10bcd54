import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type IpAddress, parseIp, type SocketAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { Netlink } from "#ztunnel/sys/netlink.ts";
import type { TcpSocketInfo } from "#ztunnel/sys/tcp-diag.ts";
import { PROBE_SOURCE_IPV4, ZTUNNEL_MARK } from "./rules.ts";
import { endConnection, findUncaptured } from "./uncaptured-connections.ts";

const POD = "10.0.0.2";
const POD6 = "fd00::2";
const PEER = "10.0.9.9";

function at(ip: string, port: number): SocketAddress {
  return { ip: parseIp(ip) as IpAddress, port };
}

function socket(local: SocketAddress, remote: SocketAddress, mark = 0): TcpSocketInfo {
  const handle = { family: 2, id: Buffer.alloc(48) };
  return { local, remote, mark, inode: 1, cookie: `${local.port}-${remote.port}`, handle };
}

function find(sockets: readonly TcpSocketInfo[], openPorts: readonly number[] = []): number[] {
  const ownAddresses = new Set([POD, POD6].map((ip) => parseIp(ip) as IpAddress));
  const found = findUncaptured(sockets, { ownAddresses, openPorts: new Set(openPorts) });
  return found.map(({ local }) => local.port);
}

describe("a connection of a captured pod", () => {
  const out = socket(at(POD, 40_000), at(PEER, 80));
  const into = socket(at(POD, 8080), at(PEER, 50_000));

  it("has passed ztunnel by where that has no end of it", () => {
    assert.deepEqual(find([out, into]), [40_000, 8080]);
    assert.deepEqual(find([socket(at(POD6, 40_001), at("fd00:9::9", 80))]), [40_001]);
  });

  it("is captured where it came out at ztunnel's port, or ztunnel took its other end", () => {
    assert.deepEqual(find([out, socket(at("127.0.0.1", 15001), out.local, ZTUNNEL_MARK)]), []);
    assert.deepEqual(find([out, socket(at("127.0.0.1", 15053), out.local, ZTUNNEL_MARK)]), []);
    assert.deepEqual(find([into, socket(into.remote, into.local, ZTUNNEL_MARK)]), []);
  });

  it("is not captured by another connection of its port, nor by a socket without the mark", () => {
    const other = socket(at(PEER, 50_001), into.local, ZTUNNEL_MARK);
    assert.deepEqual(find([into, other]), [8080]);
    assert.deepEqual(find([out, socket(at("127.0.0.1", 15001), out.local)]), [40_000]);
  });

  it("need not be captured inside the pod, from the node's probes, or by ztunnel's own", () => {
    const inside = [
      socket(at(POD, 1), at(POD, 2)),
      socket(at(POD, 3), at("127.0.0.2", 4)),
      socket(at(POD6, 5), at("::1", 6)),
      socket(at(POD, 7), at(PROBE_SOURCE_IPV4, 8)),
      socket(at(POD, 9), at(PEER, 15008), ZTUNNEL_MARK),
    ];
    assert.deepEqual(find(inside), []);
  });

  it("need not be captured on a port that is open to plaintext", () => {
    assert.deepEqual(find([out, into], [8080]), [40_000]);
  });
});

describe("ending a connection where the kernel cannot reset it", () => {
  const netlink = (code: string, deleted: string[]): Netlink => ({
    ...({} as Netlink),
    destroyTcp: () => {
      throw new MeshError(code, "no");
    },
    deleteConntrackEntry: (from, to) => deleted.push(`${from.ip} to ${to.ip}`) > 0,
  });
  const connection = socket(at(POD, 40_000), at(PEER, 80));

  it("removes it from conntrack, whichever side opened it", () => {
    const deleted: string[] = [];
    endConnection(netlink("EOPNOTSUPP", deleted), connection);
    assert.deepEqual(deleted, [`${POD} to ${PEER}`, `${PEER} to ${POD}`]);
  });

  it("takes one that has ended for ended, and throws all else", () => {
    const deleted: string[] = [];
    endConnection(netlink("ENOENT", deleted), connection);
    assert.throws(() => endConnection(netlink("EPERM", deleted), connection), { code: "EPERM" });
    assert.deepEqual(deleted, []);
  });
});
