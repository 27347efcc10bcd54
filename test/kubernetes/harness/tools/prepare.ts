/** Prepares the folder of tools and ends: what `npm run test:kubernetes` does before its tests. */
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { sayOnStderr, timed } from "./say.ts";
import { prepareTools, toolsFolder } from "./toolbox.ts";

try {
  await timed(sayOnStderr, `tools in ${toolsFolder()}`, () => prepareTools());
} catch (error) {
  sayOnStderr(describeError(error));
  if (error instanceof MeshError && error.hint !== undefined) sayOnStderr(error.hint);
  process.exitCode = 1;
}
