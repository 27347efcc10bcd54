/** What a node is before anything runs on it: mounts, addresses, and its programs' files. */
import { join } from "node:path";
import {
  CONTROL_PLANE_ADDRESS,
  CONTROL_PLANE_ADDRESS_V6,
  DNS_ADDRESS,
  nodeAddress,
  nodeAddressV6,
  nodePodCidr,
  nodePodCidrV6,
  POD_CIDRS,
} from "./addresses.ts";
import type { Site } from "./site.ts";
import { PAUSE_IMAGE } from "./tools/test-images.ts";

export interface NodePlace {
  readonly site: Site;
  /** 1 or 2. */
  readonly index: number;
  readonly name: string;
  /** The node's disk: what survives a reboot. */
  readonly disk: string;
}

/** On a node: plugins in here are called instead of those of the same name in /opt/cni/bin. */
export const WRAPPED_CNI_PLUGINS = "/opt/cni/wrapped";

export const CONTAINERD_SOCKET = "/run/containerd/containerd.sock";

/** Shell commands of its first process. Nothing they mount is seen outside. */
export function nodeSetup({ site, index, name, disk }: NodePlace): string {
  const other = 3 - index;
  return `hostname ${name}
export PATH="$PATH:/usr/sbin:/sbin"
# containerd's layers cannot lie on an overlay file system, such as a container's own root.
if [ "$(stat -f -c %T ${disk})" = overlayfs ]; then mount -t tmpfs tmpfs ${disk}; fi
for at in etc opt var/lib; do
  mkdir -p ${disk}/upper/$at ${disk}/overlay/$at
  options=lowerdir=/$at,upperdir=${disk}/upper/$at,workdir=${disk}/overlay/$at
  mount -t overlay -o $options overlay /$at
done
mkdir -p ${disk}/kubelet ${disk}/containerd ${disk}/log
mkdir -p /var/lib/kubelet /var/lib/containerd /var/lib/cni /etc/cni/net.d /opt/cni/bin
mount --bind ${disk}/kubelet /var/lib/kubelet
mount --bind ${disk}/containerd /var/lib/containerd
mount --bind ${disk}/log /var/log
mount -t tmpfs -o mode=755 tmpfs /run
cp -n ${site.tools.cniPlugins}/* /opt/cni/bin/
printf '%s' ${name} | md5sum | cut -c1-32 >/etc/machine-id
[ -e /etc/cni/net.d/10-test.conflist ] || cp ${disk}/cni.conflist /etc/cni/net.d/10-test.conflist
mount --make-rshared /
ip link set lo up
until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.all.forwarding=1
ip addr add ${nodeAddress(index)}/24 dev eth0
ip addr add ${nodeAddressV6(index)}/64 dev eth0 nodad
ip link set eth0 up
ip route add default via ${CONTROL_PLANE_ADDRESS}
ip route add default via ${CONTROL_PLANE_ADDRESS_V6}
ip route add ${nodePodCidr(other)} via ${nodeAddress(other)}
ip route add ${nodePodCidrV6(other)} via ${nodeAddressV6(other)}
sysctl -qw net.bridge.bridge-nf-call-iptables=1 || true`;
}

/** File name on the node's disk to its text. */
export function nodeFiles(place: NodePlace): Readonly<Record<string, string>> {
  const { index } = place;
  return {
    "cni.conflist": JSON.stringify(cniConfig(index)),
    "containerd.toml": containerdConfig(place.site.tools.runc),
    "kubelet.yaml": JSON.stringify(kubeletConfig(place)),
    "kube-proxy.yaml": JSON.stringify(proxyConfig(place)),
    "resolv.conf": `nameserver ${DNS_ADDRESS}\n`,
  };
}

function cniConfig(index: number): object {
  const ipam = {
    type: "host-local",
    ranges: [[{ subnet: nodePodCidr(index) }], [{ subnet: nodePodCidrV6(index) }]],
    routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
  };
  const bridge = {
    type: "bridge",
    bridge: "cni0",
    isGateway: true,
    ipMasq: false,
    hairpinMode: true,
  };
  return { cniVersion: "1.0.0", name: "test", plugins: [{ ...bridge, ipam }] };
}

function containerdConfig(runc: string): string {
  const runtime = 'plugins."io.containerd.cri.v1.runtime"';
  return `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "${CONTAINERD_SOCKET}"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "${PAUSE_IMAGE}"
[${runtime}]
  # Lowering the score takes a capability that root may lack in a container.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [${runtime}.containerd]
    default_runtime_name = "runc"
    [${runtime}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [${runtime}.containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = "${runc}"
  [${runtime}.cni]
    # The first is there where a bench wraps a plugin to see how long it takes.
    bin_dirs = ["${WRAPPED_CNI_PLUGINS}", "/opt/cni/bin"]
    conf_dir = "/etc/cni/net.d"
`;
}

function kubeletConfig({ site, disk }: NodePlace): object {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    failCgroupV1: false,
    cgroupDriver: "cgroupfs",
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: site.pki.path("ca.crt") },
    },
    authorization: { mode: "Webhook" },
    clusterDNS: [DNS_ADDRESS],
    clusterDomain: "cluster.local",
    resolvConf: join(disk, "resolv.conf"),
    oomScoreAdj: 0,
    maxOpenFiles: 20_000,
    makeIPTablesUtilChains: false,
    failSwapOn: false,
    // The machine's disk is nobody's business here unless it is really full.
    imageGCHighThresholdPercent: 100,
    evictionHard: {
      "memory.available": "100Mi",
      "nodefs.available": "1%",
      "imagefs.available": "1%",
      "nodefs.inodesFree": "1%",
    },
    // A node that is lost is noticed within seconds (see the controller manager's flags).
    nodeStatusUpdateFrequency: "4s",
    nodeLeaseDurationSeconds: 8,
    syncFrequency: "10s",
    maxPods: 250,
    serializeImagePulls: false,
  };
}

function proxyConfig({ site, name }: NodePlace): object {
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "nftables",
    clientConnection: { kubeconfig: site.pki.path("proxy.kubeconfig") },
    clusterCIDR: POD_CIDRS,
    hostnameOverride: name,
    oomScoreAdj: 0,
    conntrack: { maxPerCore: 0, min: 0 },
    metricsBindAddress: "127.0.0.1:10249",
  };
}
