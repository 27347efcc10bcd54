#!/bin/sh
# The first process of a pod, in its own pid, mount, uts, ipc and (unless host-network) network
# namespaces. It lays the pod's wire and file system, says "ready", and then only holds the
# namespaces: containers are started in them from outside. Everything it needs was written to DIR
# beforehand.
#
# usage: sandbox.sh DIR HOSTNAME NODE_NETNS|-
set -eu
dir=$1 hostname=$2 node_netns=$3
root=$dir/root

echo "$hostname" > /proc/sys/kernel/hostname

if [ "$node_netns" != - ]; then
  set_all() {
    for scope in all default; do
      [ ! -e "/proc/sys/net/$1/conf/$scope/$2" ] || echo "$3" > "/proc/sys/net/$1/conf/$scope/$2"
    done
  }
  # Addresses are assigned, not probed for: no duplicate detection, no redirects, no advertisements.
  set_all ipv4 accept_redirects 0
  for setting in disable_ipv6 accept_redirects accept_ra accept_dad; do
    set_all ipv6 $setting 0
  done
  time_wait=/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait
  [ ! -e $time_wait ] || echo 20 > $time_wait
  ip -batch "$dir/pod.ip"
  nsenter --net="$node_netns" ip -batch "$dir/node.ip"
fi

# The machine's files below, a private layer above: what the pod writes vanishes with it.
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$root"
while read -r kind source target; do
  case $kind in
    overlay) mount -t overlay overlay \
      -o "lowerdir=$target,upperdir=$source/upper,workdir=$source/work" \
      "$root$target" 2> /dev/null || mount --bind -o ro "$target" "$root$target" ;;
    bind) mount --bind "$source" "$root$target" ;;
  esac
done < "$dir/mounts"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
[ ! -d /dev/shm ] || mount -t tmpfs shm "$root/dev/shm"
cd "$root"
pivot_root . .
umount -l .

echo ready
# With SIGCHLD ignored the kernel reaps the pod's orphans, as a pause container does.
exec env --ignore-signal=CHLD sleep infinity
