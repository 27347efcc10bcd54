import assert from "node:assert/strict";
import { test } from "node:test";
import { machineMounts } from "./machine-mounts.ts";

const MOUNTINFO = `
22 1 254:0 / / rw - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
24 22 0:22 / /sys rw - sysfs sysfs rw
25 24 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup rw
26 22 0:5 / /dev rw - devtmpfs devtmpfs rw
27 22 0:6 / /run rw - tmpfs tmpfs rw
28 22 8:2 / /home/user/project rw shared:1 - ext4 /dev/sdb1 rw
29 22 8:1 / /home rw shared:2 - ext4 /dev/sda1 rw
30 22 0:7 / /tmp rw - tmpfs tmpfs rw
31 22 8:3 / /with\\040space rw - ext4 /dev/sdc rw
32 22 0:8 / /srv/cg rw - cgroup2 none rw
`.trimStart();

test("pods see the machine's disks and /tmp, outermost first, and none of its kernel interfaces", () => {
  assert.deepEqual(machineMounts(MOUNTINFO), ["/tmp", "/home", "/home/user/project"]);
});
