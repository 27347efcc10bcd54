/**
 * The plugin's files on the node. The plugin is a shell script; its shell is a static busybox, and
 * the one program that busybox lacks, a client for Unix sockets, comes with its own libraries and
 * loader. So it runs on any distribution, also on one without a shell, and starts in milliseconds.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { MeshError } from "#common/runtime/errors.ts";
import { PLUGIN_NAME } from "./conflist.ts";
import { AGENT_PATIENCE_S, ANSWER_TIMEOUT_S } from "./limits.ts";

export interface PluginSettings {
  /** The node's directory of CNI plugins, at the same path here as on the node. */
  readonly binDir: string;
  readonly socketPath: string;
  readonly excludedNamespaces: readonly string[];
  /** @default AGENT_PATIENCE_S */
  readonly patienceS?: number;
}

/** Where Debian has them; both are in the image. */
const BUSYBOX = ["/usr/bin/busybox", "/bin/busybox"];
const NETCAT = ["/usr/bin/nc.openbsd", "/bin/nc.openbsd"];
const TEMPLATE = path.join(import.meta.dirname, "plugin.sh");
/** The part of an ELF file that names its loader comes first. */
const ELF_HEAD_BYTES = 4096;

/** The folder beside the plugin that holds what it runs with. */
export function runtimeDirOf(binDir: string): string {
  return path.join(binDir, `${PLUGIN_NAME}.d`);
}

export function arePluginFilesInPlace({ binDir }: PluginSettings): boolean {
  const files = ["busybox", "nc", "ld.so"].map((name) => path.join(runtimeDirOf(binDir), name));
  return [path.join(binDir, PLUGIN_NAME), ...files].every((file) => fs.existsSync(file));
}

/** Writes what is not there or not the same, each file in one step; the plugin itself last. */
export function installPluginFiles(settings: PluginSettings): void {
  const runtime = runtimeDirOf(settings.binDir);
  fs.mkdirSync(runtime, { recursive: true, mode: 0o755 });
  const busybox = existing(BUSYBOX, "busybox-static");
  const netcat = existing(NETCAT, "netcat-openbsd");
  const loader = loaderIn(netcat);
  if (loaderIn(busybox) !== undefined) throw missing(busybox, "busybox-static");
  if (loader === undefined) throw missing(netcat, "netcat-openbsd");
  const sources = { busybox, nc: netcat, "ld.so": loader };
  for (const [name, source] of Object.entries(sources)) {
    replace(path.join(runtime, name), fs.readFileSync(source));
  }
  for (const library of librariesOf(netcat, loader)) {
    replace(path.join(runtime, path.basename(library)), fs.readFileSync(library));
  }
  replace(path.join(settings.binDir, PLUGIN_NAME), Buffer.from(scriptOf(settings)));
}

export function removePluginFiles(binDir: string): void {
  fs.rmSync(path.join(binDir, PLUGIN_NAME), { force: true });
  fs.rmSync(runtimeDirOf(binDir), { recursive: true, force: true });
}

/** Writes a file so that nobody ever sees half of it. The suffix is none that runtimes read. */
export function replace(file: string, content: Buffer, mode = 0o755): void {
  if (fs.existsSync(file) && fs.readFileSync(file).equals(content)) return;
  const passing = `${file}.${process.pid}.new`;
  fs.writeFileSync(passing, content, { mode });
  fs.chmodSync(passing, mode);
  fs.renameSync(passing, file);
}

function scriptOf(settings: PluginSettings): string {
  const { binDir, socketPath, excludedNamespaces, patienceS = AGENT_PATIENCE_S } = settings;
  const values: Readonly<Record<string, string>> = {
    RUNTIME: runtimeDirOf(binDir),
    SOCKET: socketPath,
    EXCLUDED: excludedNamespaces.join(" "),
    PATIENCE: String(patienceS),
    TIMEOUT: String(ANSWER_TIMEOUT_S),
  };
  const text = fs.readFileSync(TEMPLATE, "utf8");
  return text.replace(/@([A-Z]+)@/g, (whole, name: string) => values[name] ?? whole);
}

function existing(candidates: readonly string[], debianPackage: string): string {
  const found = candidates.find((file) => fs.existsSync(file));
  if (found === undefined) throw missing(candidates[0] ?? "", debianPackage);
  return found;
}

function missing(file: string, debianPackage: string): MeshError {
  return new MeshError("PLUGIN_RUNTIME_MISSING", `the CNI plugin needs ${file} from the image`, {
    hint: `the image has to hold Debian's package ${debianPackage}`,
  });
}

/** The loader that a program names; undefined for a static one. */
function loaderIn(program: string): string | undefined {
  const file = fs.openSync(program, "r");
  try {
    const head = Buffer.alloc(ELF_HEAD_BYTES);
    const length = fs.readSync(file, head, 0, ELF_HEAD_BYTES, 0);
    return /\/lib[\w/.-]*\/ld[\w.-]+/.exec(head.toString("latin1", 0, length))?.[0];
  } finally {
    fs.closeSync(file);
  }
}

function librariesOf(program: string, loader: string): readonly string[] {
  const listing = execFileSync(loader, ["--list", program], { encoding: "utf8" });
  return [...listing.matchAll(/=> (\/\S+)/g)].flatMap(([, file]) => file ?? []);
}
