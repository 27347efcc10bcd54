/**
 * Configuration from a folder of Kubernetes objects, one cluster's worth, with what was written
 * back to them laid over: the same change stream that an API server would give.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { orderChanges } from "#common/kubernetes/diff-objects.ts";
import { formatProblem } from "#common/kubernetes/format-problem.ts";
import { INVENTORY_FILE, parseInventory } from "#common/kubernetes/inventory.ts";
import type { FolderState } from "#common/kubernetes/load-result.ts";
import type { KubernetesObject, ObjectChange } from "#common/kubernetes/objects.ts";
import { applyOverlay, belongsTo, type Overlay } from "#common/kubernetes/overlay.ts";
import {
  type FolderChange,
  type FolderWatcher,
  watchFolderChanges,
} from "#common/kubernetes/watch-folder.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import type { OverlayStore } from "#istiod-lite/config/overlay-store.ts";
import type { ConfigSource } from "#istiod-lite/config/source.ts";
import { findLoss, type Loss } from "#istiod-lite/config/source-loss.ts";
import { SourceObjects } from "#istiod-lite/config/source-objects.ts";
import { LOST_SOURCE_RECHECK_MS, SOURCE_DEBOUNCE_MS } from "#istiod-lite/limits.ts";

export interface FolderSourceDeps {
  readonly overlays: OverlayStore;
  readonly logger: Logger;
}

/** An object, and what it becomes under its overlay. */
interface Entry {
  readonly object: KubernetesObject;
  readonly overlay: Overlay | undefined;
  readonly merged: KubernetesObject;
}

export class FolderSource implements ConfigSource {
  readonly #folder: string;
  readonly #overlays: OverlayStore;
  readonly #logger: Logger;
  /** What the folder has. */
  readonly #objects = new SourceObjects();
  /** What is in force. */
  readonly #entries = new Map<string, Entry>();
  #problems = new Set<string>();
  #onChange: ((changes: readonly ObjectChange[]) => void) | undefined;
  #watcher: Pick<FolderWatcher, "close"> | undefined;
  #started = false;
  #delivered = false;
  #closed = false;
  #loss: Loss | undefined;
  #hadInventory = false;
  #recheck: NodeJS.Timeout | undefined;
  /** Results are taken in one after the other. */
  #last: Promise<void> = Promise.resolve();
  readonly #firstDelivery = Promise.withResolvers<void>();

  constructor(folder: string, { overlays, logger }: FolderSourceDeps) {
    this.#folder = folder;
    this.#overlays = overlays;
    this.#logger = logger;
  }

  /** The object as it is in the folder, without what was written back to it. */
  object(key: string): KubernetesObject | undefined {
    return this.#entries.get(key)?.object;
  }

  get loss(): Loss | undefined {
    return this.#loss;
  }

  get isWhole(): boolean {
    return this.#loss === undefined;
  }

  /**
   * As `start` of the interface says. While the folder does not exist or is empty, it waits: an
   * istiod-lite that knows nothing would tell proxies that all they know is gone.
   */
  async start(onChange: (changes: readonly ObjectChange[]) => void): Promise<void> {
    if (this.#started) throw new MeshError("SOURCE_STARTED", "the source is started already");
    this.#started = true;
    this.#onChange = onChange;
    await this.#overlays.load();
    this.#overlays.onChange = (key) => this.#onOverlay(key);
    this.#watcher = await watchFolderChanges(this.#folder, (change) => this.#onFolder(change), {
      debounceMs: SOURCE_DEBOUNCE_MS,
    });
    if (this.#closed) await this.#watcher.close();
    await this.#firstDelivery.promise;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#recheck);
    await this.#watcher?.close();
    await this.#last;
    await this.#overlays.close();
    this.#firstDelivery.resolve();
  }

  #onFolder({ changed, ...state }: FolderChange): void {
    this.#logProblems(state);
    this.#enqueue(state, () => this.#objects.change(changed));
  }

  #enqueue(state: FolderState, before: () => void = () => undefined): void {
    this.#last = this.#last.then(() => {
      before();
      return this.#take(state);
    });
  }

  async #take(state: FolderState): Promise<void> {
    clearTimeout(this.#recheck);
    const loss = await this.#findLoss(state);
    if (this.#closed) return;
    this.#say(loss);
    this.#loss = loss;
    // Nothing tells when the inventory changes.
    if (loss !== undefined) {
      this.#recheck = setTimeout(() => this.#enqueue(state), LOST_SOURCE_RECHECK_MS).unref();
    }
    // An absent folder says nothing about the objects, and half of one is no beginning.
    if (!state.folderReadable || (loss !== undefined && !this.#delivered)) return;
    if (this.#isTooEarly()) return;
    const isFirst = !this.#delivered;
    const touched = this.#deliver(loss?.held);
    // Of objects that were gone before this process began, nothing tells.
    for (const key of isFirst ? this.#overlays.keys() : touched) this.#removeOrphan(key);
  }

  async #findLoss(state: FolderState): Promise<Loss | undefined> {
    if (!state.folderReadable) {
      const held = new Set(this.#entries.keys());
      return this.#delivered ? { reason: "it cannot be read", held } : undefined;
    }
    const missing = this.#objects
      .open()
      .filter((key) => this.#entries.has(key) && this.#objects.get(key) === undefined);
    const isWhole = this.#delivered && missing.length === 0;
    if (isWhole && this.#hadInventory) return undefined;
    const text = await readFile(join(this.#folder, INVENTORY_FILE), "utf8").catch(() => "");
    const inventory = parseInventory(text);
    const hadInventory = this.#hadInventory;
    this.#hadInventory ||= inventory !== undefined;
    if (isWhole) return undefined;
    const errors = state.problems.filter(({ severity }) => severity === "error");
    const brokenFiles = new Set(errors.map(({ file }) => file)).size;
    const present = this.#objects.kinds;
    return findLoss({ missing, present, inventory, hadInventory, brokenFiles });
  }

  #isTooEarly(): boolean {
    if (this.#delivered || this.#objects.size > 0) return false;
    this.#logger.info("no objects yet, waiting for the first", { folder: this.#folder });
    return true;
  }

  #say(loss: Loss | undefined): void {
    if (loss?.reason === this.#loss?.reason) return;
    if (loss === undefined) {
      this.#logger.info("the source of configuration is whole again", { folder: this.#folder });
      return;
    }
    const hint = this.#hadInventory
      ? `put the files back, or remove ${INVENTORY_FILE} and restart istiod-lite`
      : "put the files back, or restart istiod-lite if they are meant to be gone";
    const stays = `${loss.held.size} objects that it lacks stay in force`;
    const why = this.#delivered ? `${loss.reason}: ${stays}` : loss.reason;
    this.#logger.error("the source of configuration has lost objects", {
      folder: this.#folder,
      why,
      hint,
    });
  }

  #onOverlay(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    const after = this.#merge(key, entry.object);
    this.#entries.set(key, after);
    if (this.#closed || isDeepStrictEqual(entry.merged, after.merged)) return;
    const { kind } = entry.object;
    this.#onChange?.([{ key, kind, object: after.merged }]);
  }

  /** The merged object is made once, so that what did not change stays the very same value. */
  #merge(key: string, object: KubernetesObject): Entry {
    const found = this.#overlays.get(key);
    const overlay = found !== undefined && belongsTo(found, object) ? found : undefined;
    const before = this.#entries.get(key);
    if (before?.object === object && before.overlay === overlay) return before;
    return { object, overlay, merged: overlay ? applyOverlay(object, overlay) : object };
  }

  /** Puts in force what differs, but for what is held. Returns the keys that it looked at. */
  #deliver(held: ReadonlySet<string> | undefined): readonly string[] {
    const changes: ObjectChange[] = [];
    const keys = this.#objects.open().filter((key) => held?.has(key) !== true);
    for (const key of keys) {
      this.#objects.settle(key);
      const before = this.#entries.get(key);
      const object = this.#objects.get(key);
      const after = object === undefined ? undefined : this.#merge(key, object);
      if (after !== undefined) this.#entries.set(key, after);
      else this.#entries.delete(key);
      if (after !== undefined && !isDeepStrictEqual(before?.merged, after.merged)) {
        changes.push({ key, kind: after.object.kind, object: after.merged });
      } else if (after === undefined && before !== undefined) {
        changes.push({ key, kind: before.object.kind });
      }
    }
    if (this.#delivered && changes.length === 0) return keys;
    this.#delivered = true;
    this.#onChange?.(orderChanges(changes));
    this.#firstDelivery.resolve();
    return keys;
  }

  #removeOrphan(key: string): void {
    const isOrphan = (overlay: Overlay): boolean => {
      const object = this.object(key);
      return object === undefined || !belongsTo(overlay, object);
    };
    const overlay = this.#overlays.get(key);
    if (overlay === undefined || !isOrphan(overlay)) return;
    this.#overlays.remove(key, isOrphan).catch((error: unknown) => {
      this.#logger.warn("overlay not removed", { object: key, why: describeError(error) });
    });
  }

  /** Each problem once, until it is gone. */
  #logProblems(result: FolderState): void {
    const lines = new Set<string>();
    for (const problem of result.problems) {
      const line = formatProblem(problem);
      lines.add(line);
      if (this.#problems.has(line)) continue;
      if (problem.severity === "error") this.#logger.error(line);
      else this.#logger.warn(line);
    }
    for (const file of result.staleFiles) {
      const line = `${file}: its last version without errors stays in force`;
      lines.add(line);
      if (!this.#problems.has(line)) this.#logger.warn(line);
    }
    this.#problems = lines;
  }
}
