/** Programs that come from Debian's packages, unpacked beside the others and not installed. */
import { globSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "./command.ts";

/** apt checks them against the archive's signature; the distribution's release fixes versions. */
const PACKAGES = ["runc", "containernetworking-plugins", "busybox-static"];

const HINT =
  "Debian's archive has to be reachable with apt-get (elsewhere: put runc, the CNI plugins and a " +
  "static busybox where the tools folder has them, as docs/kubernetes-tests.md says)";

/** What decides whether unpacked packages are still the wanted ones. */
export async function debianKey(): Promise<string> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  return [...PACKAGES, process.arch, release.match(/^VERSION_CODENAME=(.*)$/m)?.[1]].join(" ");
}

/** Downloads and unpacks the packages into `folder`, replacing what is there. */
export async function unpackDebianPackages(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const download = ["apt-get", "download", "-qq", ...PACKAGES];
  await runCommand(download, { cwd: folder }).catch(async () => {
    // A fresh machine has no package lists yet. One source of many may fail: the download decides.
    await runCommand(["apt-get", "update", "-qq"], { hint: HINT }).catch(() => undefined);
    await runCommand(download, { cwd: folder, hint: HINT });
  });
  for (const file of globSync("*.deb", { cwd: folder })) {
    await runCommand(["dpkg", "-x", join(folder, file), folder]);
    await rm(join(folder, file));
  }
}
