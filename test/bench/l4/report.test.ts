import assert from "node:assert/strict";
import { test } from "node:test";
import type { BenchOptions } from "./options.ts";
import { buildRows } from "./report.ts";
import { Samples } from "./samples.ts";
import { formatTables } from "./table.ts";

const OPTIONS: BenchOptions = {
  seconds: 1,
  rounds: 3,
  modes: ["direct", "hbone"],
  placements: ["cross-node"],
  metrics: ["bulk_1_gbps", "rr1000_p99_ms", "rss_idle_mb", "rss_8000_mb"],
  peer: "/bin/ztunnel",
  json: "l4.json",
};

const DIRECT = { contender: "direct", mode: "direct", placement: "cross-node" } as const;
const OURS = { contender: "ours", mode: "hbone", placement: "cross-node" } as const;
const PEER = { contender: "peer", mode: "hbone", placement: "cross-node" } as const;

function samples(withPeer = true): Samples {
  const all = new Samples();
  for (const value of [19, 20, 40]) all.add(DIRECT, "bulk_1_gbps", value);
  for (const value of [3, 5, 4]) all.add(OURS, "bulk_1_gbps", value);
  all.add(OURS, "rr1000_p99_ms", 1.5);
  all.add(OURS, "rss_idle_mb", 100);
  all.fail(OURS, "rss_8000_mb", "only 7 of 8000\nwith a trace");
  if (!withPeer) return all;
  all.add(PEER, "bulk_1_gbps", 5);
  all.add(PEER, "rr1000_p99_ms", 1);
  return all;
}

test("a row has the median, its ratios to direct and to the peer, or null for what is not there", () => {
  assert.deepEqual(buildRows(samples(), OPTIONS), [
    row("direct", "bulk_1_gbps", 20, "Gbit/s", 1, null),
    row("direct", "rr1000_p99_ms", null, "ms", null, null),
    row("hbone", "bulk_1_gbps", 4, "Gbit/s", 0.2, 0.8),
    row("hbone", "rr1000_p99_ms", 1.5, "ms", null, 1.5),
    row("hbone", "rss_idle_mb", 100, "MB", null, null),
    row("hbone", "rss_8000_mb", null, "MB", null, null),
  ]);
});

test("the table says which bars are met, and why a metric failed", () => {
  const text = formatTables(buildRows(samples(), OPTIONS), samples(), OPTIONS);
  assert.match(text, /hbone, cross-node/);
  assert.match(text, /bulk_1_gbps +Gbit\/s +4 +0\.2 +5 +0\.8 +>= 0\.9 x peer: NOT MET\n/);
  assert.match(text, /rr1000_p99_ms +ms +1\.5 +- +1 +1\.5 +<= 2 x peer: met\n/);
  assert.match(text, /rss_idle_mb +MB +100 +- +failed +- +<= 90: NOT MET\n/);
  assert.match(text, /rss_8000_mb failed: only 7 of 8000\n/);
});

test("without a peer its older figures estimate the ratio, and the table says so", () => {
  const options = { ...OPTIONS, peer: undefined };
  const text = formatTables(buildRows(samples(false), options), samples(false), options);
  assert.match(text, /bulk_1_gbps +Gbit\/s +4 +0\.2 +>= 0\.9 x peer: NOT MET, ~0\.611 by older/);
  assert.match(text, /rr1000_p99_ms .* unknown without --peer/);
});

function row(
  mode: string,
  metric: string,
  value: number | null,
  unit: string,
  ratioToDirect: number | null,
  ratioToPeer: number | null,
) {
  return { mode, placement: "cross-node", metric, value, unit, ratioToDirect, ratioToPeer };
}
