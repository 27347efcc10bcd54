import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseResolvConf } from "./resolv-conf.ts";

test("name servers and search domains are read, comments and the rest passed over", () => {
  const text = `
# made by somebody
nameserver 10.96.0.10
nameserver  fd96::a   ; the other
nameserver 10.96.0.10
nameserver fe80::1%eth0
nameserver nonsense
search shop.svc.cluster.local SVC.Cluster.Local. cluster.local
options ndots:5 timeout:2
sortlist 130.155.160.0
`;
  assert.deepEqual(parseResolvConf(text), {
    nameservers: ["10.96.0.10", "fd96::a"],
    searchDomains: [
      ["shop", "svc", "cluster", "local"],
      ["svc", "cluster", "local"],
      ["cluster", "local"],
    ],
  });
});

test("of several search lists the last one counts, and a domain is one", () => {
  assert.deepEqual(parseResolvConf("search a b\ndomain c\n").searchDomains, [["c"]]);
  assert.deepEqual(parseResolvConf("search a\nsearch .\n").searchDomains, []);
});

test("there are never more than 8 name servers and 32 search domains", () => {
  const lines = fc.array(
    fc.oneof(
      fc.ipV4().map((ip) => `nameserver ${ip}`),
      fc.array(fc.domain(), { maxLength: 50 }).map((names) => `search ${names.join(" ")}`),
      fc.string(),
    ),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(lines, (all) => {
      const { nameservers, searchDomains } = parseResolvConf(all.join("\n"));
      assert.ok(nameservers.length <= 8);
      assert.ok(searchDomains.length <= 32);
    }),
  );
});
