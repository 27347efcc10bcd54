/**
 * Keeps our plugin in the node's CNI chain: files in place, last in the configuration that the
 * container runtime takes, again and again where somebody rewrites that or another file comes
 * first. A node whose network has no configuration yet is waited for.
 */
import fs from "node:fs";
import path from "node:path";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import {
  activeConfFile,
  type ConfFile,
  chained,
  isChained,
  PLUGIN_NAME,
  SAVED_SUFFIX,
  unchained,
} from "./conflist.ts";
import { CONFIGURATION_PAUSE_MS, LOOK_INTERVAL_MS } from "./limits.ts";
import {
  arePluginFilesInPlace,
  installPluginFiles,
  type PluginSettings,
  removePluginFiles,
  replace,
  runtimeDirOf,
} from "./plugin-files.ts";

export interface CniInstallerOptions extends PluginSettings {
  /** The node's directory of CNI configurations (/etc/cni/net.d). */
  readonly confDir: string;
  readonly log: Logger;
  /** @default LOOK_INTERVAL_MS */
  readonly lookIntervalMs?: number;
}

const CONFIGURATION_MODE = 0o600;

export class CniInstaller {
  readonly #options: CniInstallerOptions;
  #watcher: fs.FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pause: NodeJS.Timeout | undefined;
  /** What was said last: the same is not said again every few seconds. */
  #said = "";
  /** This version's files have been written; those of another may be in place as well. */
  #isInstalled = false;

  constructor(options: CniInstallerOptions) {
    this.#options = options;
  }

  /** Puts everything in place and keeps it there until `stop`; tries again what fails. */
  start(): void {
    this.look();
    const { lookIntervalMs = LOOK_INTERVAL_MS } = this.#options;
    this.#timer = setInterval(() => this.look(), lookIntervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#pause);
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /** Looks once, and mends what is not as it should be. */
  look(): void {
    try {
      this.#watch();
      if (!this.#isInstalled || !arePluginFilesInPlace(this.#options)) {
        installPluginFiles(this.#options);
        this.#isInstalled = true;
      }
      this.#chain();
    } catch (error) {
      const hint = error instanceof MeshError ? (error.hint ?? "") : "";
      this.#say("error", "pods may start before they are captured", {
        why: describeError(error),
        hint,
      });
    }
  }

  /**
   * Takes the plugin out of every configuration, then its files away. What nobody else has changed
   * since is byte for byte what it was.
   */
  remove(): void {
    this.stop();
    const { confDir, binDir, log } = this.#options;
    for (const file of readConfDir(confDir)) {
      const text = this.#original(file) ?? unchained(file);
      if (text === undefined) continue;
      const saved = path.join(confDir, `${plainNameOf(file, confDir)}${SAVED_SUFFIX}`);
      if (fs.existsSync(saved)) {
        fs.renameSync(saved, saved.slice(0, -SAVED_SUFFIX.length));
        fs.rmSync(path.join(confDir, file.name));
      } else {
        write(path.join(confDir, file.name), text);
      }
      log.info("out of the node's CNI configuration", { file: file.name });
    }
    removePluginFiles(binDir);
  }

  #chain(): void {
    const { confDir } = this.#options;
    const active = activeConfFile(readConfDir(confDir));
    if (active === undefined) {
      this.#say("info", "the node has no CNI configuration yet", { directory: confDir });
      return;
    }
    if (isChained(active)) return;
    const next = chained(active);
    this.#keepOriginal(active, next);
    write(path.join(confDir, next.name), next.text);
    if (next.name !== active.name) {
      const plain = path.join(confDir, active.name);
      fs.renameSync(plain, `${plain}${SAVED_SUFFIX}`);
    }
    this.#said = "";
    this.#say("info", "last in the node's CNI configuration", { file: next.name });
  }

  #watch(): void {
    if (this.#watcher !== undefined) return;
    const { confDir } = this.#options;
    const watcher = fs.watch(confDir, { persistent: false }, () => {
      this.#pause ??= setTimeout(() => {
        this.#pause = undefined;
        this.look();
      }, CONFIGURATION_PAUSE_MS);
    });
    watcher.on("error", () => {
      watcher.close();
      this.#watcher = undefined;
    });
    this.#watcher = watcher;
  }

  #keepOriginal(active: ConfFile, next: ConfFile): void {
    replace(this.#originalFile(next.name), Buffer.from(active.text), CONFIGURATION_MODE);
  }

  /** The text before we chained ourselves, if chaining it now gives just what there is. */
  #original(file: ConfFile): string | undefined {
    try {
      const text = fs.readFileSync(this.#originalFile(file.name), "utf8");
      return chained({ ...file, text }).text === file.text ? text : undefined;
    } catch {
      return undefined; // None kept, or none that can be chained: then it is taken apart.
    }
  }

  #originalFile(name: string): string {
    return path.join(runtimeDirOf(this.#options.binDir), `${name}.original`);
  }

  #say(level: "info" | "error", message: string, fields: Record<string, string>): void {
    const text = `${message} ${Object.values(fields).join(" ")}`;
    if (text === this.#said) return;
    this.#said = text;
    this.#options.log[level](message, { plugin: PLUGIN_NAME, ...fields });
  }
}

function readConfDir(confDir: string): readonly ConfFile[] {
  return fs
    .readdirSync(confDir, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && /\.(conf|conflist|json)$/.test(entry.name))
    .flatMap(({ name }) => {
      try {
        return [{ name, text: fs.readFileSync(path.join(confDir, name), "utf8") }];
      } catch {
        return []; // It has just gone.
      }
    });
}

/** The plain configuration that a list of ours stands for, by name. */
function plainNameOf({ name }: ConfFile, confDir: string): string {
  const base = name.replace(/\.conflist$/, "");
  const saved = [`${base}.conf`, `${base}.json`];
  return saved.find((file) => fs.existsSync(path.join(confDir, file + SAVED_SUFFIX))) ?? name;
}

/** Keeps the mode that the file has. */
function write(file: string, text: string): void {
  const mode = fs.existsSync(file) ? fs.statSync(file).mode & 0o777 : CONFIGURATION_MODE;
  replace(file, Buffer.from(text), mode);
}
