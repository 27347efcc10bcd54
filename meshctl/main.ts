/** meshctl: the command line of the mesh. One file per command; each adds itself to the program. */
import { Command } from "commander";
import { failureText } from "#common/runtime/errors.ts";
import { VERSION } from "#common/runtime/version.ts";
import { addCheck } from "./check.ts";
import { addDelete } from "./delete.ts";
import { addDown } from "./down.ts";
import { addExec } from "./exec.ts";
import { addGet } from "./get.ts";
import { addInstall, addUpgrade } from "./install.ts";
import { addLogs } from "./logs.ts";
import { addRollout } from "./rollout.ts";
import { addUninstall } from "./uninstall.ts";
import { addUp } from "./up.ts";
import { addWaypoint } from "./waypoint.ts";
import { addZtunnelConfig } from "./ztunnel-config.ts";

const program = new Command("meshctl")
  .description("Runs and looks into an ambient mesh.")
  .version(VERSION)
  .showSuggestionAfterError()
  .showHelpAfterError("(add --help for what can be typed)")
  .enablePositionalOptions();

const looking = [addGet, addCheck, addExec, addLogs, addZtunnelConfig];
const changing = [addDelete, addRollout, addWaypoint];
const installing = [addInstall, addUpgrade, addUninstall];
for (const add of [addUp, addDown, ...looking, ...changing, ...installing]) add(program);

// Who reads has seen enough: "meshctl logs POD | head".
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit();
});

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(failureText("meshctl", error, "next"));
  process.exitCode = 1;
}
