/**
 * The sandboxes that the CNI plugin told of, on disk: a ztunnel that starts finds pods by them that
 * have no process yet, or none at the moment. One file per pod, in memory of the node (/run), so
 * that a reboot leaves none.
 */
import fs from "node:fs";
import path from "node:path";
import type { KnownSandboxes } from "#ztunnel/node/process-netns-finder.ts";
import { pathWithin } from "./path-within.ts";

export interface SandboxRecord {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly containerId: string;
  /** As the node sees it. */
  readonly netnsPath: string;
}

const FILE = /^[A-Za-z0-9][A-Za-z0-9-]{0,127}\.json$/;

/** Beside the plugin's socket. */
export function recordsDirOf(socketPath: string): string {
  return path.join(path.dirname(socketPath), "sandboxes");
}

export class SandboxRecords implements KnownSandboxes {
  readonly #directory: string;
  readonly #nodeRoot: string;
  readonly #records = new Map<string, SandboxRecord>();
  readonly #listeners = new Set<(podUid: string) => void>();

  /** `nodeRoot`: where this process sees the node's file system; "" if it is its own. */
  constructor(directory: string, nodeRoot: string) {
    this.#directory = directory;
    this.#nodeRoot = nodeRoot;
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const name of fs.readdirSync(directory)) {
      if (FILE.test(name)) this.#load(name);
    }
  }

  netnsPath(podUid: string): string | undefined {
    const record = this.#records.get(podUid);
    return record && pathWithin(this.#nodeRoot, record.netnsPath);
  }

  watch(onChange: (podUid: string) => void): { close(): void } {
    this.#listeners.add(onChange);
    return { close: () => void this.#listeners.delete(onChange) };
  }

  put(record: SandboxRecord): void {
    const file = this.#file(record.uid);
    fs.writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
    fs.renameSync(`${file}.new`, file);
    this.#records.set(record.uid, record);
    this.#changed(record.uid);
  }

  /** Of the sandbox with this id; a later one of the same pod stays. Returns the pod's uid. */
  remove(containerId: string): string | undefined {
    for (const [uid, record] of this.#records) {
      if (record.containerId !== containerId) continue;
      fs.rmSync(this.#file(uid), { force: true });
      this.#records.delete(uid);
      this.#changed(uid);
      return uid;
    }
    return undefined;
  }

  /** The mesh leaves the node. */
  clear(): void {
    this.#records.clear();
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }

  #load(name: string): void {
    try {
      const record = JSON.parse(fs.readFileSync(path.join(this.#directory, name), "utf8"));
      // A sandbox that went while nobody was told leaves its record behind.
      const isThere = fs.existsSync(pathWithin(this.#nodeRoot, record.netnsPath));
      if (isThere && `${record.uid}.json` === name) this.#records.set(record.uid, record);
      else fs.rmSync(path.join(this.#directory, name), { force: true });
    } catch {
      fs.rmSync(path.join(this.#directory, name), { force: true });
    }
  }

  #changed(uid: string): void {
    for (const listener of this.#listeners) listener(uid);
  }

  #file(uid: string): string {
    return path.join(this.#directory, `${uid}.json`);
  }
}
