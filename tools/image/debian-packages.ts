/**
 * Debian packages as files: fetched by apt-get from the sources that this machine has (which checks
 * their signatures), and unpacked into a folder without running anything of theirs.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "#common/runtime/errors.ts";

/** Since Debian 12 these are links into /usr; dpkg keeps them so, and so does unpack(). */
const USR_LINKS = ["bin", "lib", "lib64", "sbin"];

/** Of packages, what no program reads. Copyright files stay. */
const EXCLUDED = [
  "./usr/share/doc/*/[!c]*",
  "./usr/lib/*/gconv",
  "./usr/share/doc/*/changelog*",
  ...["bug", "doc-base", "info", "lintian", "locale", "man", "menu"].map(
    (name) => `./usr/share/${name}`,
  ),
  ...["games", "include", "src"].map((name) => `./usr/${name}`),
  ...["boot", "home", "etc/skel", "etc/issue*", "etc/update-motd.d"].map((name) => `./${name}`),
];

export interface UnpackedPackage {
  readonly name: string;
  readonly version: string;
}

/** Fetches the newest version of each package into `dir`; what is there already is not fetched. */
export function fetchPackages(names: readonly string[], architecture: string, dir: string): void {
  mkdirSync(dir, { recursive: true });
  const wanted = names.map((name) => `${name}:${architecture}`);
  run("apt-get", ["-qq", "-o", "APT::Sandbox::User=root", "download", ...wanted], dir);
}

/** Unpacks what fetchPackages() left in `dir` into `rootfs`. */
export function unpackPackages(dir: string, rootfs: string): UnpackedPackage[] {
  for (const name of USR_LINKS) {
    mkdirSync(join(rootfs, "usr", name), { recursive: true });
    symlinkSync(`usr/${name}`, join(rootfs, name));
  }
  return readdirSync(dir)
    .filter((name) => name.endsWith(".deb"))
    .sort()
    .map((name) => unpack(join(dir, name), rootfs));
}

function unpack(deb: string, rootfs: string): UnpackedPackage {
  const control = run("dpkg-deb", ["--field", deb]);
  const field = (name: string): string =>
    new RegExp(`^${name}: (.*)$`, "m").exec(control)?.[1] ?? "";
  const excluded = EXCLUDED.map((pattern) => `--exclude='${pattern}'`).join(" ");
  const tar = `tar --extract --keep-directory-symlink --no-same-owner ${excluded}`;
  const script = `dpkg-deb --fsys-tarfile "$1" | ${tar} --directory "$2"`;
  run("bash", ["-o", "pipefail", "-c", script, "unpack", deb, rootfs]);
  // Where scanners look for what is installed in an image without a package manager.
  const status = join(rootfs, "var/lib/dpkg/status.d");
  mkdirSync(status, { recursive: true });
  writeFileSync(join(status, field("Package")), control);
  return { name: field("Package"), version: field("Version") };
}

/** What update-ca-certificates makes: every certificate of the package in one file. */
export function writeCertificateBundle(rootfs: string): void {
  const source = join(rootfs, "usr/share/ca-certificates/mozilla");
  const bundle = readdirSync(source)
    .sort()
    .map((name) => readFileSync(join(source, name), "utf8"));
  mkdirSync(join(rootfs, "etc/ssl/certs"), { recursive: true });
  writeFileSync(join(rootfs, "etc/ssl/certs/ca-certificates.crt"), bundle.join(""));
}

/** Returns what the command wrote; throws a MeshError IMAGE_BUILD with what it complained of. */
export function run(command: string, args: readonly string[], cwd?: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status === 0) return stdout;
  const said = error?.message ?? stderr.trim();
  throw new MeshError("IMAGE_BUILD", `${command} ${args.slice(0, 6).join(" ")}: ${said}`, {
    hint: "the image is built on Debian, with apt-get update done and its mirror in reach",
  });
}
