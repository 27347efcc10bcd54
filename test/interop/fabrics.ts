/**
 * The fabrics that interop tests run on: a stock ztunnel (INTEROP_ZTUNNEL, which
 * `npm run test:interop -- --ztunnel PATH` sets) on both nodes, or on one beside ours on the other.
 */
import type { StockZtunnel } from "#meshctl/local/cluster-settings.ts";
import { parseStockZtunnels } from "#meshctl/up/stock-ztunnel-option.ts";

export interface Fabric {
  readonly title: string;
  readonly stockZtunnel: StockZtunnel;
  /** Nodes with a stock ztunnel. */
  readonly stock: readonly string[];
}

/** Throws a MeshError where there is no such program. */
export function fabrics(): readonly Fabric[] {
  const path = stockZtunnelPath();
  return [
    { title: "a stock ztunnel on both nodes", stock: ["node1", "node2"] },
    { title: "a stock ztunnel on node1, ours on node2", stock: ["node1"] },
    { title: "ours on node1, a stock ztunnel on node2", stock: ["node2"] },
  ].map((fabric) => ({
    ...fabric,
    stockZtunnel: parseStockZtunnels(fabric.stock.map((node) => `${node}=${path}`)),
  }));
}

export function stockZtunnelPath(): string {
  const path = process.env.INTEROP_ZTUNNEL;
  if (path !== undefined) return path;
  throw new Error("INTEROP_ZTUNNEL is not set: npm run test:interop -- --ztunnel PATH");
}
