/**
 * `--ztunnel PATH` and `--ztunnel NODE=PATH` of `meshctl up`, and of what starts clusters like it.
 */
import { accessSync, constants, statSync } from "node:fs";
import { resolve } from "node:path";
import { MeshError } from "#common/runtime/errors.ts";
import type { StockZtunnel } from "#meshctl/local/cluster-settings.ts";

const NODE_AND_PATH = /^([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)=(.+)$/;

/**
 * Absolute paths from what people typed; none means none. Throws MeshError BAD_ZTUNNEL for what
 * cannot be run, or for two binaries in one place.
 */
export function parseStockZtunnels(values: readonly string[]): StockZtunnel {
  const byNode = new Map<string, string>();
  let everywhere: string | undefined;
  for (const value of values) {
    const [, node, path = value] = NODE_AND_PATH.exec(value) ?? [];
    const binary = executable(path);
    if (node === undefined ? everywhere !== undefined : byNode.has(node)) {
      const place = node === undefined ? "for every node" : `for ${node}`;
      throw new MeshError("BAD_ZTUNNEL", `--ztunnel is given twice ${place}`, {
        hint: "name the node: --ztunnel node2=PATH",
      });
    }
    if (node === undefined) everywhere = binary;
    else byNode.set(node, binary);
  }
  return {
    ...(everywhere === undefined ? {} : { everywhere }),
    byNode: Object.fromEntries(byNode),
  };
}

function executable(path: string): string {
  const binary = resolve(path);
  try {
    accessSync(binary, constants.X_OK);
    if (statSync(binary).isFile()) return binary;
  } catch (cause) {
    throw new MeshError("BAD_ZTUNNEL", `${path} cannot be run`, { cause, hint: HINT });
  }
  throw new MeshError("BAD_ZTUNNEL", `${path} is no program`, { hint: HINT });
}

const HINT = "name a ztunnel binary: --ztunnel PATH, or --ztunnel node2=PATH for one node";
