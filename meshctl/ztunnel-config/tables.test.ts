import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseDump } from "./dump.ts";
import { DUMP } from "./dump-fixture.ts";
import { selectStates, selectWorkloads } from "./select.ts";
import {
  allTables,
  certificateTable,
  connectionTable,
  policyTable,
  serviceTable,
  workloadTable,
} from "./tables.ts";

/** What `istioctl ztunnel-config all --with-headers -f` (August 2026) says of the same dump. */
const GOLDEN = readFileSync(join(import.meta.dirname, "tables.golden.txt"), "utf8");
const NOW = new Date("2026-01-01T00:00:00Z");
const dump = parseDump(JSON.stringify(DUMP), "the fixture");

test("all tables are istioctl's, byte for byte", () => {
  assert.equal(allTables(dump, true, NOW), GOLDEN);
  const without = GOLDEN.replaceAll(/------ .* ------\n\n/g, "");
  assert.equal(allTables(dump, false, NOW), without);
});

test("workloads are chosen by namespace, node, address and name, in either case of letters", () => {
  const names = (filter: object) => selectWorkloads(dump.workloads, filter).map(({ name }) => name);
  assert.deepEqual(names({ namespace: "SHOP", node: "node1" }), ["client", "web-0"]);
  assert.deepEqual(names({ address: "FD00::1" }), ["web-0"]);
  assert.deepEqual(names({ name: "web-1", namespace: "shop" }), ["web-1"]);
  assert.equal(names({ namespace: "" }).length, 5);
});

test("connections are chosen by pod and direction, and shown by address where asked", () => {
  const inbound = selectStates(dump.workloadStates, { name: "web-0", direction: "inbound" });
  const lines = connectionTable(dump, inbound, true).trim().split("\n").slice(1);
  assert.deepEqual(
    lines.map((line) => line.split(/ +/)),
    [
      ["web-0.shop", "Inbound", "10.0.1.1:8080", "10.0.1.9:40000"].concat(
        "web.shop.svc.cluster.local",
        "HBONE",
      ),
      ["web-0.shop", "Inbound", "10.0.1.1:8080", "192.0.2.7:40001", "TCP"],
    ],
  );
  const outbound = selectStates(dump.workloadStates, { direction: "outbound" });
  assert.equal(connectionTable(dump, outbound, false).match(/bound /g)?.length, 1);
});

test("an IPv6 connection is shown by the names of both ends, too", () => {
  const connection = {
    src: "[fd00::1]:4",
    originalDst: "[fd00:96::7]:80",
    actualDst: "x",
    protocol: "TCP",
  };
  const state = { info: { name: "a", namespace: "b" }, connections: { outbound: [connection] } };
  assert.match(
    connectionTable(dump, [state], false),
    /\na\.b +Outbound +web-0\.shop:4 +x +web\.shop\.svc\.cluster\.local:80 +TCP\n$/,
  );
});

test("a certificate that is not valid yet, or no more, is said not to be", () => {
  const [entry] = dump.certificates;
  const valid = (now: string) => {
    const table = certificateTable(entry ? [entry] : [], new Date(now));
    return table
      .split("\n")
      .slice(1, 4)
      .map((line) => line.split(/ {5,}/)[3]);
  };
  assert.deepEqual(valid("2020-01-01T12:00:00Z"), ["true", "true", "true"]);
  assert.deepEqual(valid("2019-01-01T00:00:00Z"), ["false", "false", "false"]);
});

test("whatever is missing or of another type is empty, and no name acts on the terminal", () => {
  const odd = { workloads: [{ name: 7, workloadIps: "x" }, null, "x"], services: { a: {} } };
  const { services, workloads, ...rest } = parseDump(JSON.stringify(odd), "it");
  assert.equal(workloadTable({ services, workloads, ...rest }, workloads).split("\n").length, 3);
  assert.match(serviceTable({ services, workloads, ...rest }, services), /None +0\/0\n$/);
  assert.match(policyTable([{ name: "a\u001b[31m\n" }]), /a\?\[31m\?/);
});

test("what is no dump is refused, with where it is from and how to get one", () => {
  for (const text of ["", "{", "[]", "null", "{}", '"workloads"']) {
    assert.throws(() => parseDump(text, "dump.json"), {
      code: "NOT_A_DUMP",
      message: /^dump\.json /,
      hint: /config_dump/,
    });
  }
});
