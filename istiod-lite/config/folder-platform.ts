/** istiod-lite on one machine: configuration, CA and token keys are files; it has no replicas. */
import { MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { caFolder } from "#istiod-lite/ca/ca-files.ts";
import { JwksFile } from "#istiod-lite/ca/jwks-file.ts";
import { JwksTokenReviewer } from "#istiod-lite/ca/token-review.ts";
import { createSource } from "#istiod-lite/config/create-source.ts";
import { FolderOwnedObjects } from "#istiod-lite/config/folder-owned-objects.ts";
import { ALWAYS_LEADING } from "#istiod-lite/config/leadership.ts";
import type { Platform } from "#istiod-lite/config/platform.ts";

export interface FolderPlatformOptions {
  /** `folder:PATH`. */
  readonly source: string;
  readonly overlay?: string;
  readonly owned?: string;
  readonly caDir?: string;
  readonly tokenJwks?: string;
  readonly trustDomain: string;
}

/** Throws MeshError SOURCE_INVALID, or OPTION_MISSING. */
export function folderPlatform(options: FolderPlatformOptions, logger: Logger): Platform {
  const { overlay, owned, trustDomain } = options;
  const { source, statusWriter } = createSource(options.source, { logger, overlay });
  const dir = required(options.caDir, "--ca-dir");
  const jwks = required(options.tokenJwks, "--token-jwks");
  return {
    source,
    statusWriter,
    reportWriter: statusWriter,
    ownedObjects: owned === undefined ? undefined : new FolderOwnedObjects(owned),
    tokens: new JwksTokenReviewer(new JwksFile(jwks, logger.scope("tokens"))),
    ca: caFolder({ dir, trustDomain }),
    leadership: ALWAYS_LEADING,
    hasReadyZtunnel: () => undefined,
    ownImage: () => Promise.resolve(undefined),
    areZtunnelsRemoved: () => Promise.resolve(false),
    apply: () => undefined,
    start: () => undefined,
    close: () => Promise.resolve(),
  };
}

function required(value: string | undefined, option: string): string {
  if (value !== undefined) return value;
  throw new MeshError("OPTION_MISSING", `a folder of configuration needs ${option}`, {
    hint: `add ${option} PATH, or write --source kubernetes`,
  });
}
