/** Makes the platform that `--source` names. */
import { connectInCluster } from "#common/kube-client/in-cluster.ts";
import { connectKubeconfig } from "#common/kube-client/kubeconfig.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { folderPlatform } from "#istiod-lite/config/folder-platform.ts";
import { KubernetesPlatform } from "#istiod-lite/config/kubernetes/kubernetes-platform.ts";
import type { Platform } from "#istiod-lite/config/platform.ts";
import type { IstiodOptions } from "#istiod-lite/options.ts";

/**
 * Throws MeshError SOURCE_INVALID for what is no source, OPTION_MISSING for what it lacks, and what
 * connecting to an API server throws.
 */
export function createPlatform(options: IstiodOptions, logger: Logger): Platform {
  const [, kind, path] = /^(kubernetes)(?::(.+))?$/s.exec(options.source) ?? [];
  if (kind === undefined) return folderPlatform(options, logger);
  const client = path === undefined ? connectInCluster() : connectKubeconfig({ path });
  return new KubernetesPlatform(options, { client, logger });
}
