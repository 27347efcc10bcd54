/** meshctl: the command line of the mesh. One file per command; each adds itself to the program. */
import { Command } from "commander";
import { failureText } from "#common/runtime/errors.ts";
import { VERSION } from "#common/runtime/version.ts";
import { addCheck } from "#meshctl/check.ts";
import { addDelete } from "#meshctl/delete.ts";
import { addDown } from "#meshctl/down.ts";
import { addExec } from "#meshctl/exec.ts";
import { addGet } from "#meshctl/get.ts";
import { addInstall, addUpgrade } from "#meshctl/install.ts";
import { addLogs } from "#meshctl/logs.ts";
import { addRollout } from "#meshctl/rollout.ts";
import { addUninstall } from "#meshctl/uninstall.ts";
import { addUp } from "#meshctl/up.ts";
import { addWaypoint } from "#meshctl/waypoint.ts";
import { addZtunnelConfig } from "#meshctl/ztunnel-config.ts";

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
