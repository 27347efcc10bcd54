import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { CapturedPod } from "#common/model/captured-pod.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { POD } from "#ztunnel/capture/capture-fixture.ts";
import { NamespaceTestbed, type TestNamespace } from "#ztunnel/capture/namespace-testbed.ts";
import type { NetnsSearch } from "#ztunnel/capture/pod-netns.ts";
import { FULL_WALK_INTERVAL_MS } from "./limits.ts";
import { CGROUP_NAMES, PodCgroups } from "./pod-cgroup-fixtures.ts";
import { PodProcesses } from "./pod-processes.ts";
import { ProcessNetnsFinder } from "./process-netns-finder.ts";

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

const OTHER: CapturedPod = { ...POD, uid: "99999999-2222-3333-4444-555555555555" };

describe("the namespace of a pod, by the node's processes", () => {
  let bed: NamespaceTestbed;
  let cgroups: PodCgroups;
  let children: ChildProcess[] = [];
  let told: string | undefined;
  let clock = 0;
  let finder: ProcessNetnsFinder;

  before(async () => {
    bed = await NamespaceTestbed.create();
  });
  after(() => bed.close());
  beforeEach(() => {
    cgroups = new PodCgroups();
    told = undefined;
    finder = createFinder();
  });
  afterEach(async () => {
    // A cgroup can be removed once its processes have been reaped.
    await Promise.all(children.map(end));
    children = [];
    cgroups.close();
  });

  function createFinder(): ProcessNetnsFinder {
    const sandboxes = { netnsPath: () => told, watch: () => ({ close: () => undefined }) };
    const processes = new PodProcesses({ now: () => (clock += FULL_WALK_INTERVAL_MS) });
    return new ProcessNetnsFinder({
      sys: bed.sys,
      nodeId: bed.node.netns.id,
      processes,
      sandboxes,
    });
  }

  /** A further process in a namespace. */
  function start({ netns }: TestNamespace): number {
    const child = bed.sys.inNetns(netns, () => spawn("sleep", ["600"], { stdio: "ignore" }));
    children.push(child);
    return child.pid ?? 0;
  }

  async function found(pod = POD): Promise<string> {
    const search: NetnsSearch = await finder.find(pod);
    if (search.kind !== "found") return `${search.kind}: ${search.message}`;
    bed.sys.closeNetns(search.netns);
    return search.netns.id;
  }

  for (const driver of ["cgroupfs", "systemd", "crio"] as const) {
    it(`is found under the cgroup names of ${driver}`, async () => {
      cgroups.put(start(bed.pod), CGROUP_NAMES[driver](POD.uid));
      assert.equal(await found(), bed.pod.netns.id);
    });
  }

  it("is not that of another pod's process, even if that holds the address", async () => {
    cgroups.put(start(bed.pod), CGROUP_NAMES.cgroupfs(OTHER.uid));
    assert.match(await found(), /^missing: no process/);
  });

  it("is that of the oldest process that holds its address, not of one gone elsewhere", async () => {
    const elsewhere = start(bed.client);
    await delay(20);
    const sandbox = start(bed.pod);
    for (const id of [elsewhere, sandbox]) cgroups.put(id, CGROUP_NAMES.cgroupfs(POD.uid));
    assert.equal(await found(), bed.pod.netns.id);
  });

  it("is refused where it does not hold the pod's address", async () => {
    cgroups.put(start(bed.client), CGROUP_NAMES.cgroupfs(POD.uid));
    assert.match(await found(), /^foreign: process \d+: its network namespace holds 10\.78/);
  });

  it("is never the node's, whatever address is asked for", async () => {
    cgroups.put(start(bed.node), CGROUP_NAMES.cgroupfs(POD.uid));
    assert.match(await found({ ...POD, ips: ["10.77.0.1" as IpAddress] }), /^missing/);
  });

  it("is found anew when the sandbox is made again", async () => {
    const first = start(bed.client);
    cgroups.put(first, CGROUP_NAMES.cgroupfs(POD.uid));
    assert.equal(await found({ ...POD, ips: ["10.78.0.2" as IpAddress] }), bed.client.netns.id);
    process.kill(first, "SIGKILL");
    cgroups.put(start(bed.pod), CGROUP_NAMES.cgroupfs(POD.uid));
    assert.equal(await found(), bed.pod.netns.id);
  });

  it("is what the CNI plugin told of, before the pod has any process", async () => {
    told = `/proc/${bed.pod.pid}/ns/net`;
    assert.equal(await found(), bed.pod.netns.id);
    told = `/proc/${bed.client.pid}/ns/net`;
    assert.match(await found(), /^foreign: the sandbox that the CNI plugin told of/);
  });

  it("is looked for elsewhere once the file that the plugin told of is gone, or no namespace", async () => {
    cgroups.put(start(bed.pod), CGROUP_NAMES.cgroupfs(POD.uid));
    told = "/run/netns/there-is-no-such";
    assert.equal(await found(), bed.pod.netns.id);
    told = fs.realpathSync(import.meta.filename);
    assert.equal(await found(), bed.pod.netns.id);
  });
});
