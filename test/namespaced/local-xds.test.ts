/** Our ztunnel without xDS: its state in one file, its pods from a CNI agent. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { InpodMesh } from "#test/support/inpod-mesh.ts";
import { LOCAL_XDS, LOCAL_XDS_SCENARIOS, startLocalXdsMesh } from "#test/support/local-xds-mesh.ts";
import { ownZtunnel } from "#test/support/own-ztunnel.ts";

describe("our ztunnel with its state in a file and no xDS", () => {
  const program = ownZtunnel();
  let mesh: InpodMesh;
  before(async () => {
    const file = join(program.folder, "mesh.yaml");
    writeFileSync(file, LOCAL_XDS);
    mesh = await startLocalXdsMesh(program.path, file);
  });
  after(async () => {
    await mesh?.[Symbol.asyncDispose]();
    program[Symbol.dispose]();
  });

  for (const [title, scenario] of Object.entries(LOCAL_XDS_SCENARIOS)) {
    test(title, () => scenario(mesh));
  }
});
