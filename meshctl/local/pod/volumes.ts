/** The volumes that a kubelet fills for a pod: ConfigMaps, tokens, facts about the pod itself. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import type { ConfigMap, Pod } from "#common/kubernetes/objects.ts";
import type { DownwardApiFile, Volume, VolumeSource } from "#common/kubernetes/volume-objects.ts";
import { SERVICE_ACCOUNT_ISSUER } from "#common/tls/service-account-token.ts";
import { TOKEN_TTL_SECONDS } from "#meshctl/local/limits.ts";

/** Where the content of volumes comes from. */
export interface VolumeContents {
  readonly configMap: (name: string) => ConfigMap | undefined;
  /** A fresh token of the pod's service account, bound to the pod. */
  readonly token: (audience: string, ttlSeconds: number) => Promise<string>;
  /** A field of the pod, by the downward API's path; undefined for one that does not exist. */
  readonly field: (path: string) => string | undefined;
}

type Files = Map<string, string>;

/** One directory per volume, mounted wherever a container of the pod asks for it. */
export function volumeBinds(
  pod: Pod,
  dir: string,
): readonly { readonly source: string; readonly target: string }[] {
  const mounts = pod.spec.containers.flatMap((container) => container.volumeMounts ?? []);
  const targets = new Map(mounts.map((mount) => [mount.mountPath, mount.name]));
  return [...targets]
    .sort(([a], [b]) => a.length - b.length)
    .map(([target, name]) => ({ source: volumeDir(dir, name), target }));
}

/**
 * Fills the pod's volumes; running pods see the change. Returns the ConfigMaps that are missing: a
 * kubelet does not start a pod without them.
 */
export async function writeVolumes(
  pod: Pod,
  dir: string,
  contents: VolumeContents,
): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const volume of pod.spec.volumes ?? []) {
    const path = volumeDir(dir, volume.name);
    await mkdir(path, { recursive: true });
    const sources = sourcesOf(volume);
    if (sources === undefined) continue;
    const files: Files = new Map();
    const before = missing.length;
    for (const source of sources) await addFiles(source, contents, files, missing);
    if (missing.length === before) await writeFiles(path, files);
  }
  return missing;
}

/** Whose tokens a pod holds: its own alone. */
export function tokenClaims({ metadata, spec }: Pod, uid: string, node: string) {
  const { name: podName, namespace = "default" } = metadata;
  const { serviceAccountName: serviceAccount = "default" } = spec;
  return { namespace, serviceAccount, podName, podUid: uid, node };
}

/** How often its tokens have to be written anew; undefined for a pod without any. */
export function tokenRefreshMs(pod: Pod): number | undefined {
  const lifetimes = (pod.spec.volumes ?? [])
    .flatMap((volume) => sourcesOf(volume) ?? [])
    .flatMap(({ serviceAccountToken }) => serviceAccountToken ?? [])
    .map(({ expirationSeconds = TOKEN_TTL_SECONDS }) => expirationSeconds);
  return lifetimes.length === 0 ? undefined : (Math.min(...lifetimes) * 1000) / 2;
}

/** Undefined for a volume that the pod fills itself. */
function sourcesOf({
  configMap,
  downwardAPI,
  projected,
}: Volume): readonly VolumeSource[] | undefined {
  if (configMap !== undefined) return [{ configMap }];
  if (downwardAPI !== undefined) return [{ downwardAPI }];
  return projected?.sources;
}

async function addFiles(
  source: VolumeSource,
  contents: VolumeContents,
  files: Files,
  missing: string[],
): Promise<void> {
  const { serviceAccountToken, downwardAPI } = source;
  if (serviceAccountToken !== undefined) {
    const { audience, expirationSeconds, path } = serviceAccountToken;
    const ttlSeconds = expirationSeconds ?? TOKEN_TTL_SECONDS;
    files.set(path, await contents.token(audience ?? SERVICE_ACCOUNT_ISSUER, ttlSeconds));
  }
  for (const item of downwardAPI?.items ?? []) files.set(item.path, fieldOf(item, contents));
  addConfigMap(source, contents, files, missing);
}

function addConfigMap(
  { configMap }: VolumeSource,
  contents: VolumeContents,
  files: Files,
  missing: string[],
): void {
  if (configMap === undefined) return;
  const data = contents.configMap(configMap.name)?.data;
  if (data === undefined && contents.configMap(configMap.name) === undefined) {
    if (configMap.optional !== true) missing.push(configMap.name);
    return;
  }
  const items = configMap.items ?? Object.keys(data ?? {}).map((key) => ({ key, path: key }));
  for (const { key, path } of items) files.set(path, data?.[key] ?? "");
}

function fieldOf({ fieldRef }: DownwardApiFile, { field }: VolumeContents): string {
  return field(fieldRef.fieldPath) ?? "";
}

/** Each file is replaced as a whole: whoever reads it meanwhile has the old or the new one. */
async function writeFiles(dir: string, files: Files): Promise<void> {
  for (const name of await readdir(dir)) {
    const stays = [...files.keys()].some((path) => path.split("/")[0] === name);
    if (!stays) await rm(join(dir, name), { recursive: true, force: true });
  }
  for (const [path, content] of files) {
    const file = join(dir, normalize(`/${path}`));
    if ((await readFile(file, "utf8").catch(() => undefined)) === content) continue;
    await mkdir(dirname(file), { recursive: true });
    await writeFile(`${file}.tmp`, content);
    await rename(`${file}.tmp`, file);
  }
}

function volumeDir(dir: string, name: string): string {
  return join(dir, "volumes", name);
}
