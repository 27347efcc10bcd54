/** The files by which a pod knows its name and finds others. */
import type { Pod } from "#common/kubernetes/objects.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { CLUSTER_DOMAIN } from "#meshctl/local/dns/zone.ts";

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
