/** The files that a kubelet puts into a pod: names, resolver, volumes. */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ConfigMap, Pod } from "#common/kubernetes/objects.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { CLUSTER_DOMAIN } from "#meshctl/local/dns-zone.ts";

/** `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a pod in its own network. */
export function nameFiles(
  pod: Pod,
  ips: readonly IpAddress[],
  dnsIp: IpAddress,
): Readonly<Record<string, string>> {
  const { namespace = "default" } = pod.metadata;
  const hostname = podHostname(pod);
  const own =
    pod.spec.subdomain === undefined
      ? hostname
      : `${hostname}.${pod.spec.subdomain}.${namespace}.svc.${CLUSTER_DOMAIN} ${hostname}`;
  return {
    "/etc/hostname": `${hostname}\n`,
    "/etc/hosts": [
      "127.0.0.1 localhost",
      "::1 localhost ip6-localhost ip6-loopback",
      ...ips.map((ip) => `${ip} ${own}`),
      "",
    ].join("\n"),
    "/etc/resolv.conf": [
      `search ${namespace}.svc.${CLUSTER_DOMAIN} svc.${CLUSTER_DOMAIN} ${CLUSTER_DOMAIN}`,
      `nameserver ${dnsIp}`,
      // Names with fewer dots are tried in the cluster first: Kubernetes' dnsPolicy ClusterFirst.
      "options ndots:5",
      "",
    ].join("\n"),
  };
}

/** A host name has 63 bytes at most; Kubernetes cuts longer pod names. */
export function podHostname(pod: Pod): string {
  return (pod.spec.hostname ?? pod.metadata.name).slice(0, 63).replace(/[-.]+$/, "");
}

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
 * Fills the ConfigMap volumes; running pods see the change. Returns the ConfigMaps that are
 * missing: a kubelet does not start a pod without them.
 */
export async function writeVolumes(
  pod: Pod,
  dir: string,
  configMap: (name: string) => ConfigMap | undefined,
): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const volume of pod.spec.volumes ?? []) {
    const path = volumeDir(dir, volume.name);
    await mkdir(path, { recursive: true });
    if (volume.configMap === undefined) continue;
    const source = configMap(volume.configMap.name);
    if (source === undefined) missing.push(volume.configMap.name);
    else await writeKeys(path, source.data ?? {});
  }
  return missing;
}

async function writeKeys(path: string, data: Readonly<Record<string, string>>): Promise<void> {
  for (const name of await readdir(path)) {
    if (!Object.hasOwn(data, name)) await rm(join(path, name), { recursive: true, force: true });
  }
  for (const [name, content] of Object.entries(data)) await writeFile(join(path, name), content);
}

function volumeDir(dir: string, name: string): string {
  return join(dir, "volumes", name);
}
