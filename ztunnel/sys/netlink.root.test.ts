import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, describe, it } from "node:test";
import type { IpAddress } from "#common/model/ip.ts";
import { CLIENT_IPV4, CLIENT_IPV6, NamespaceTestbed } from "#ztunnel/capture/namespace-testbed.ts";
import { TCP_CONNECTION_STATES, TCP_LISTENING } from "./tcp-diag.ts";

const PORT = 8080;
const TABLE = "watched";
const RULES = `table inet ${TABLE} {
  chain a { type filter hook output priority 0; jump b; }
  chain b { tcp dport 1 accept; tcp dport 2 drop; }
}
`;

describe("what a namespace is asked through netlink", () => {
  let bed: NamespaceTestbed;
  const inPod = <Result>(action: () => Result) => bed.sys.inNetns(bed.pod.netns, action);
  const table = () => inPod(() => bed.netlink.nftTable(TABLE));
  const connections = () => inPod(() => [...bed.netlink.tcpSockets(TCP_CONNECTION_STATES)].flat());

  before(async () => {
    bed = await NamespaceTestbed.create();
    await bed.serve(bed.client, "::", PORT, () => undefined);
  });
  after(() => bed.close());

  it("is a table's content: equal for equal rules, another for any change", async () => {
    assert.equal(table(), undefined);
    await bed.nft(bed.pod, RULES);
    const whole = table();
    assert.equal(whole?.rules, 3);
    await bed.nft(bed.pod, `delete table inet ${TABLE}\n${RULES}`);
    assert.deepEqual(table(), whole);
    for (const change of [
      `add rule inet ${TABLE} b tcp dport 3 accept`,
      `flush chain inet ${TABLE} b`,
      `add chain inet ${TABLE} c`,
      `add chain inet ${TABLE} a { policy drop; }`,
      `add table inet ${TABLE} { flags dormant; }`,
    ]) {
      await bed.nft(bed.pod, `${change}\n`);
      assert.notEqual(table()?.digest, whole?.digest, change);
      await bed.nft(bed.pod, `delete table inet ${TABLE}\n${RULES}`);
      assert.deepEqual(table(), whole, "as before");
    }
  });

  it("is not a table of another name, family or namespace", async () => {
    await bed.nft(bed.pod, "add table ip other\nadd table inet watched2\n");
    assert.equal(
      inPod(() => bed.netlink.nftTable("other")),
      undefined,
    );
    assert.equal(bed.netlink.nftTable(TABLE), undefined);
  });

  it("is where a packet would go, with the table that says so", async () => {
    const to = "240.0.0.1" as IpAddress;
    const route = (mark: number) => inPod(() => bed.netlink.route(to, mark));
    assert.deepEqual(route(0), { table: 254, local: false });
    await bed.ip(bed.pod, "rule add fwmark 7 lookup 77", "route add local default dev lo table 77");
    assert.deepEqual(route(7), { table: 77, local: true });
    assert.deepEqual(route(8), { table: 254, local: false });
    const empty = await bed.bareNamespace();
    assert.equal(
      bed.sys.inNetns(empty.netns, () => bed.netlink.route(to, 0)),
      undefined,
    );
  });

  it("is its listeners, with their marks and the inodes of their descriptors", async () => {
    await bed.serve(bed.pod, "::", PORT, () => undefined, 0x539);
    await bed.serve(bed.pod, "127.0.0.1", PORT + 1, () => undefined);
    const listening = inPod(() => [...bed.netlink.tcpSockets(TCP_LISTENING)].flat());
    assert.deepEqual(
      listening.map(({ local, mark }) => [local.ip, local.port, mark]).sort(),
      [
        ["127.0.0.1", PORT + 1, 0],
        ["::", PORT, 0x539],
      ].sort(),
    );
    assert.ok(listening.every(({ inode }) => inode > 0));
  });

  for (const [name, ip] of [
    ["IPv4", CLIENT_IPV4],
    ["IPv6", CLIENT_IPV6],
  ] as const) {
    it(`is its connections, and each of them can be ended (${name})`, async () => {
      const [kept, ended] = [
        await bed.connect(bed.pod, { ip, port: PORT }),
        await bed.connect(bed.pod, { ip, port: PORT }),
      ];
      const found = connections().find(({ local }) => local.port === ended.localPort);
      assert.deepEqual(found?.remote, { ip, port: PORT });
      const closed = new Promise((resolve) => void ended.once("close", resolve));
      if (found !== undefined) inPod(() => bed.netlink.destroyTcp(found.handle));
      await closed;
      assert.equal(kept.destroyed, false);
      const left = connections().filter(({ remote }) => remote.ip === ip);
      assert.deepEqual(
        left.map(({ local }) => local.port),
        [kept.localPort],
      );
      if (found === undefined) return;
      assert.throws(() => inPod(() => bed.netlink.destroyTcp(found.handle)), { code: "ENOENT" });
      kept.destroy();
    });

    it(`is conntrack's entry of a connection, which can be removed once (${name})`, async () => {
      // A namespace keeps track of connections as soon as a rule asks about them.
      await bed.nft(
        bed.pod,
        "add table inet track\n" +
          "add chain inet track o { type filter hook output priority 0; }\n" +
          "add rule inet track o ct state new accept\n",
      );
      const socket = await bed.connect(bed.pod, { ip, port: PORT });
      const own = connections().find(({ local }) => local.port === socket.localPort);
      assert.ok(own);
      const remove = () => inPod(() => bed.netlink.deleteConntrackEntry(own.local, own.remote));
      assert.equal(remove(), true);
      assert.equal(remove(), false);
      socket.destroy();
    });
  }

  it("tells of changes at once, and of many in a row now and then", async () => {
    let heard = Promise.withResolvers<void>();
    let calls = 0;
    const onChange = () => {
      calls++;
      heard.resolve();
    };
    const monitor = inPod(() => bed.netlink.monitor({ onChange, pauseMs: 5 }));
    for (const change of [
      () => bed.nft(bed.pod, "add table inet noise\n"),
      () => bed.ip(bed.pod, "rule add fwmark 9 lookup 99"),
      () => bed.ip(bed.pod, "route add 192.0.2.0/24 dev lo table 99"),
      () => bed.ip(bed.pod, "addr add 192.0.2.9/32 dev lo"),
      () => bed.ip(bed.pod, "addr add fd99::1/128 dev lo"),
    ]) {
      heard = Promise.withResolvers();
      await change();
      await heard.promise;
    }
    monitor.close();
    monitor.close();
    const before = calls;
    await bed.nft(bed.pod, "delete table inet noise\n");
    await bed.nft(bed.pod, "add table inet noise\n");
    assert.equal(calls, before);
  });

  it("leaves no descriptor behind", async () => {
    const count = () => fs.readdirSync("/proc/self/fd").length;
    const before = count();
    for (let i = 0; i < 20; i++) {
      inPod(() => bed.netlink.monitor({ onChange: () => undefined, pauseMs: 5 })).close();
      table();
      for (const _ of inPod(() => bed.netlink.tcpSockets(TCP_LISTENING))) break;
      connections();
    }
    assert.equal(count(), before);
  });
});
