/** Our ztunnel in the place of a stock one: its pods come from a CNI agent, by ZDS. */
import { after, before, describe, test } from "node:test";
import { InpodMesh } from "#test/support/inpod-mesh.ts";
import { AGENT_SCENARIOS } from "#test/support/inpod-scenarios.ts";
import { ownZtunnel } from "#test/support/own-ztunnel.ts";

describe("our ztunnel beside a CNI agent", () => {
  const program = ownZtunnel();
  let mesh: InpodMesh;
  before(async () => {
    mesh = await InpodMesh.start(program.path);
  });
  after(async () => {
    await mesh?.[Symbol.asyncDispose]();
    program[Symbol.dispose]();
  });

  for (const [title, scenario] of Object.entries(AGENT_SCENARIOS))
    test(title, () => scenario(mesh));
});
