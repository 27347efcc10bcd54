#!/bin/sh
# The first process of a pod, in its own pid, mount, uts, ipc and (unless host-network) network
# namespaces. It lays the pod's wire and file system, says "ready", and then only holds the namespaces:
# containers are started in them from outside. Everything it needs was written to DIR beforehand.
#
# usage: sandbox.sh DIR HOSTNAME NODE_NETNS|-
set -eu
dir=$1 hostname=$2 node_netns=$3
root=$dir/root

echo "$hostname" > /proc/sys/kernel/hostname

if [ "$node_netns" != - ]; then
  # Addresses are assigned, not probed for: no duplicate detection, no redirects, no advertisements.
  for scope in all default; do
    for setting in ipv4/conf/$scope/accept_redirects ipv6/conf/$scope/accept_redirects \
      ipv6/conf/$scope/accept_ra ipv6/conf/$scope/accept_dad; do
      [ ! -e "/proc/sys/net/$setting" ] || echo 0 > "/proc/sys/net/$setting"
    done
  done
  ip -batch "$dir/pod.ip"
  nsenter --net="$node_netns" ip -batch "$dir/node.ip"
fi

# The machine's files below, a private layer above: what the pod writes vanishes with it.
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$root"
while read -r kind source target; do
  case $kind in
    overlay) mount -t overlay overlay -o "lowerdir=$target,upperdir=$source/upper,workdir=$source/work" \
      "$root$target" 2> /dev/null || mount --bind -o ro "$target" "$root$target" ;;
    bind) mount --bind "$source" "$root$target" ;;
  esac
done < "$dir/mounts"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
cd "$root"
pivot_root . .
umount -l .

echo ready
# With SIGCHLD ignored the kernel reaps the pod's orphans, as a pause container does.
exec env --ignore-signal=CHLD sleep infinity
