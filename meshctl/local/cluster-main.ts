/** The program that is a namespace cluster: started by `meshctl up` in namespaces of
 * its own, never by hand. */
import { settingsOf } from "./cluster-settings.ts";
import { runInit } from "./init.ts";

const settings = settingsOf(process.argv);
if (settings === undefined || process.ppid !== 1) {
  process.stderr.write("this program is started by `meshctl up`: type that\n");
  process.exitCode = 2;
} else {
  await runInit(settings);
}
