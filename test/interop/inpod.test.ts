/** A stock ztunnel beside our CNI agent. */
import { after, before, describe, test } from "node:test";
import { InpodMesh } from "#test/support/inpod-mesh.ts";
import { AGENT_SCENARIOS } from "#test/support/inpod-scenarios.ts";
import { stockZtunnelPath } from "./fabrics.ts";

describe("a stock ztunnel beside a CNI agent", () => {
  let mesh: InpodMesh;
  before(async () => {
    mesh = await InpodMesh.start(stockZtunnelPath());
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  for (const [title, scenario] of Object.entries(AGENT_SCENARIOS))
    test(title, () => scenario(mesh));
});
