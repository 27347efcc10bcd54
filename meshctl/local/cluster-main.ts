/** The program that is a namespace cluster: started by `meshctl up` as the first process of its own
 * namespaces, never by hand. */
import { settingsOf } from "#meshctl/local/cluster-settings.ts";
import { runInit } from "#meshctl/local/init.ts";

const settings = settingsOf(process.argv);
if (settings === undefined || process.pid !== 1) {
  process.stderr.write("this program is started by `meshctl up`: type that\n");
  process.exitCode = 2;
} else {
  await runInit(settings);
}
