/** A stock ztunnel on the very file that drives ours: test/namespaced/local-xds.test.ts. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { InpodMesh } from "#test/support/inpod-mesh.ts";
import { LOCAL_XDS, LOCAL_XDS_SCENARIOS, startLocalXdsMesh } from "#test/support/local-xds-mesh.ts";
import { stockZtunnelPath } from "./fabrics.ts";

describe("a stock ztunnel with its state in a file and no xDS", () => {
  const folder = mkdtempSync(join(tmpdir(), "local-xds-"));
  let mesh: InpodMesh;
  before(async () => {
    const file = join(folder, "mesh.yaml");
    writeFileSync(file, LOCAL_XDS);
    mesh = await startLocalXdsMesh(stockZtunnelPath(), file);
  });
  after(async () => {
    await mesh?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  for (const [title, scenario] of Object.entries(LOCAL_XDS_SCENARIOS)) {
    test(title, () => scenario(mesh));
  }
});
