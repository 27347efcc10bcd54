/** Makes the source that `--source` names, with the writer that belongs to it. */
import { dirname, join, resolve } from "node:path";
import { MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { FolderSource } from "#istiod-lite/config/folder-source.ts";
import { FolderStatusWriter } from "#istiod-lite/config/folder-status-writer.ts";
import { OverlayStore } from "#istiod-lite/config/overlay-store.ts";
import type { ConfigSource, StatusWriter } from "#istiod-lite/config/source.ts";

export interface SourceDeps {
  readonly logger: Logger;
  /** The time for conditions and Events; the system's unless given. */
  readonly now?: () => Date;
  /** Where statuses go; by default the folder `overlay` beside the objects. */
  readonly overlay?: string | undefined;
}

export interface SourceAndWriter {
  readonly source: ConfigSource;
  readonly statusWriter: StatusWriter;
}

/**
 * `folder:PATH` reads the objects of the folder PATH (relative to the working directory) and writes
 * back to `overlay`. Throws MeshError SOURCE_INVALID for anything else.
 */
export function createSource(spec: string, { logger, now, overlay }: SourceDeps): SourceAndWriter {
  const path = /^folder:(.+)$/s.exec(spec)?.[1];
  if (path === undefined) {
    const message = `${JSON.stringify(spec)} is no source of configuration`;
    throw new MeshError("SOURCE_INVALID", message, { hint: "write --source folder:PATH" });
  }
  const folder = resolve(path);
  const overlays = new OverlayStore(overlay ?? join(dirname(folder), "overlay"));
  const source = new FolderSource(folder, { overlays, logger: logger.scope("config") });
  const statusWriter = new FolderStatusWriter({
    overlays,
    object: (key) => source.object(key),
    now: now ?? (() => new Date()),
  });
  return { source, statusWriter };
}
