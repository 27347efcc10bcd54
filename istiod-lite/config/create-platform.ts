/** Makes the platform that `--source` names. */
import type { Logger } from "#common/telemetry/logger.ts";
import { folderPlatform } from "#istiod-lite/config/folder-platform.ts";
import type { Platform } from "#istiod-lite/config/platform.ts";
import type { IstiodOptions } from "#istiod-lite/options.ts";

/** Throws MeshError SOURCE_INVALID for what is no source, OPTION_MISSING for what it lacks. */
export function createPlatform(options: IstiodOptions, logger: Logger): Platform {
  return folderPlatform(options, logger);
}
