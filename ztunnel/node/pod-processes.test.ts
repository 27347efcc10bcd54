import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { FULL_WALK_INTERVAL_MS, WALK_INTERVAL_MS } from "./limits.ts";
import { PodProcesses, podUidOfCgroup, startTimeOf } from "./pod-processes.ts";

const UID = "0a1b2c3d-1111-2222-3333-444455556666";
const ESCAPED = UID.replaceAll("-", "_");

describe("the pod of a cgroup", () => {
  const cases: readonly (readonly [string, string, string | undefined])[] = [
    ["cgroupfs, version 2", `0::/kubepods/burstable/pod${UID}/abc`, UID],
    ["cgroupfs, guaranteed", `0::/kubepods/pod${UID}/abc`, UID],
    [
      "systemd, containerd",
      "0::/kubepods.slice/kubepods-besteffort.slice/" +
        `kubepods-besteffort-pod${ESCAPED}.slice/cri-containerd-abc.scope`,
      UID,
    ],
    ["systemd, CRI-O", `0::/kubepods.slice/kubepods-pod${ESCAPED}.slice/crio-abc.scope`, UID],
    [
      "kind",
      "0::/kubelet.slice/kubelet-kubepods.slice/" +
        `kubelet-kubepods-pod${ESCAPED}.slice/cri-containerd-a.scope`,
      UID,
    ],
    ["seen from another cgroup namespace", `0::/../../pod${UID}/abc`, UID],
    [
      "version 1, one hierarchy of several",
      `9:name=systemd:/\n4:memory:/kubepods/besteffort/pod${UID}/abc\n0::/`,
      UID,
    ],
    [
      "a static pod's hash",
      "0::/kubepods/burstable/pod0123456789abcdef0123456789abcdef/x",
      "0123456789abcdef0123456789abcdef",
    ],
    ["a system service", "0::/system.slice/containerd.service", undefined],
    ["the root", "0::/", undefined],
    ["nothing", "", undefined],
    ["a name that only looks like it", "0::/system.slice/pod-manager.service", undefined],
    [
      "what a container has made below its own",
      `0::/kubepods/pod${UID}/abc/podffffffff-1111-2222-3333-444455556666`,
      UID,
    ],
  ];
  for (const [what, text, uid] of cases) {
    it(`is read: ${what}`, () => assert.equal(podUidOfCgroup(text), uid));
  }
});

describe("the start of a process", () => {
  it("is read behind a name that looks like fields", () => {
    const fields = Array.from({ length: 30 }, (_, i) => String(i + 3)).join(" ");
    assert.equal(startTimeOf(`12 (evil) 1 2) ${fields}`), 22);
  });
});

describe("the processes of pods", () => {
  let procDir: string;
  let now = 0;
  let processes: PodProcesses;

  const add = (processId: number, cgroup: string, startTime: number) => {
    const directory = path.join(procDir, String(processId));
    fs.mkdirSync(directory, { recursive: true });
    fs.writeFileSync(path.join(directory, "cgroup"), `0::${cgroup}\n`);
    const fields = Array.from({ length: 30 }, (_, i) => (i === 19 ? startTime : 0)).join(" ");
    fs.writeFileSync(path.join(directory, "stat"), `${processId} (x) ${fields}\n`);
  };
  const end = (processId: number) =>
    fs.rmSync(path.join(procDir, String(processId)), { recursive: true });

  beforeEach(() => {
    procDir = fs.mkdtempSync(path.join(os.tmpdir(), "proc-"));
    now = 0;
    processes = new PodProcesses({ procDir, now: () => now });
  });
  afterEach(() => fs.rmSync(procDir, { recursive: true }));

  it("are given oldest first, whatever their ids", async () => {
    add(30, `/kubepods/pod${UID}/a`, 100);
    add(20, `/kubepods/pod${UID}/b`, 300);
    add(10, `/kubepods/pod${UID}/c`, 200);
    await processes.refresh();
    assert.deepEqual(await processes.of(UID), ["30", "10", "20"]);
  });

  it("do not include one that has ended, or whose id another has now", async () => {
    add(10, `/kubepods/pod${UID}/a`, 1);
    add(11, `/kubepods/pod${UID}/a`, 2);
    add(12, `/kubepods/pod${UID}/a`, 3);
    await processes.refresh();
    end(10);
    add(11, "/system.slice/sshd.service", 9);
    assert.deepEqual(await processes.of(UID), ["12"]);
    assert.equal(await processes.isOf(UID, "11"), false);
  });

  it("are looked for again no sooner than the interval, and then found", async () => {
    await processes.refresh();
    add(10, `/kubepods/pod${UID}/a`, 1);
    await processes.refresh();
    assert.deepEqual(await processes.of(UID), []);
    now += WALK_INTERVAL_MS;
    await processes.refresh();
    assert.deepEqual(await processes.of(UID), ["10"]);
  });

  it("are read once: a walk costs what has started since", async () => {
    add(10, "/system.slice/sshd.service", 1);
    await processes.refresh();
    add(10, `/kubepods/pod${UID}/a`, 1);
    now += WALK_INTERVAL_MS;
    await processes.refresh();
    assert.deepEqual(await processes.of(UID), []);
    now += FULL_WALK_INTERVAL_MS;
    await processes.refresh();
    assert.deepEqual(await processes.of(UID), ["10"], "an id that was another's is seen in time");
  });
});
