import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { CapturedPod, CaptureVerdict, SandboxedPod } from "#common/model/captured-pod.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { createLogger } from "#common/telemetry/logger.ts";
import { AnsweringSink, APP_PORT, POD } from "#ztunnel/capture/capture-fixture.ts";
import { CaptureManager } from "#ztunnel/capture/capture-manager.ts";
import { HostProbes } from "#ztunnel/capture/host-probes.ts";
import {
  CLIENT_IPV4,
  NamespaceTestbed,
  POD_IPV4,
  POD_IPV6,
} from "#ztunnel/capture/namespace-testbed.ts";
import { removeRules } from "#ztunnel/capture/pod-rules.ts";
import { PodProcesses } from "#ztunnel/node/pod-processes.ts";
import { ProcessNetnsFinder } from "#ztunnel/node/process-netns-finder.ts";
import type { CniRequest } from "./cni-request.ts";
import { type CniAnswer, PodAdmission } from "./pod-admission.ts";
import { SandboxRecords } from "./sandbox-records.ts";

const LOG = createLogger({ level: "error", format: "text", write: () => undefined });

describe("a sandbox that is made", () => {
  let bed: NamespaceTestbed;
  let dir: string;
  let sink: AnsweringSink;
  let manager: CaptureManager;
  let records: SandboxRecords;
  let admission: PodAdmission;
  let verdict: () => CaptureVerdict;
  let asked: SandboxedPod[];

  before(async () => {
    bed = await NamespaceTestbed.create();
    await bed.serve(bed.client, "::", APP_PORT, (socket) => socket.end("outside"));
  });
  after(() => bed.close());
  beforeEach(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "cni-admission-"));
    asked = [];
    verdict = () => ({ kind: "enrolled", pod: { ...POD, ips: [] } });
    sink = new AnsweringSink(bed);
    start();
  });
  afterEach(async () => {
    await manager.close();
    await sink.remove(POD.uid);
    await removeRules(bed, bed.pod.netns);
    fs.rmSync(dir, { recursive: true });
  });

  /** A ztunnel; a further one takes over. */
  function start(): void {
    records = new SandboxRecords(path.join(dir, "sandboxes"), "");
    const { sys, netlink, node } = bed;
    const finder = new ProcessNetnsFinder({
      sys,
      nodeId: node.netns.id,
      processes: new PodProcesses(),
      sandboxes: records,
    });
    const probes = new HostProbes(sys, node.netns);
    const report = (): void => undefined;
    const rest = { probes, log: LOG, workers: 1, report, checkIntervalMs: 50 };
    manager = new CaptureManager({ sys, netlink, finder, sink, ...rest });
    admission = new PodAdmission({
      node: "node-1",
      records,
      excludedNamespaces: ["kube-system"],
      log: LOG,
      verdictOn: async (pod) => {
        asked.push(pod);
        return verdict();
      },
      capture: {
        capture: (pod: CapturedPod, signal) => manager.capture(pod, signal),
        forget: (uid) => manager.apply([], [uid]),
      },
    });
  }

  function call(command: string, changes: Partial<CniRequest> = {}): Promise<CniAnswer> {
    const ips = [{ address: `${POD_IPV4}/24` }, { address: `${POD_IPV6}/64` }];
    const args = { K8S_POD_NAMESPACE: "shop", K8S_POD_NAME: "web-0", K8S_POD_UID: POD.uid };
    return admission.answer({
      command,
      containerId: "sandbox-1",
      netnsPath: `/proc/${bed.pod.pid}/ns/net`,
      ifName: "eth0",
      args: new Map(Object.entries(args)),
      cniVersion: "1.0.0",
      prevResult: { cniVersion: "1.0.0", ips },
      ...changes,
    });
  }

  const outbound = () => bed.ask(bed.pod, { ip: CLIENT_IPV4, port: APP_PORT });
  const rules = () => bed.nft(bed.pod, "list ruleset\n");

  it("is captured before the answer, by the addresses that the plugins before gave", async () => {
    const { exitCode, output } = await call("ADD");
    assert.equal(exitCode, 0, output);
    assert.equal(JSON.parse(output).ips.length, 2);
    assert.equal(await outbound(), "15001");
    const [pod] = asked;
    assert.deepEqual(pod, { node: "node-1", namespace: "shop", name: "web-0", uid: POD.uid });
  });

  it("is not set up again when istiod-lite names the pod, whatever the order of addresses", async () => {
    await call("ADD");
    manager.apply([{ ...POD, ips: [...POD.ips].reverse() }], []);
    await manager.capture({ ...POD, ips: [...POD.ips].reverse() }, AbortSignal.timeout(10_000));
    assert.deepEqual(sink.events, ["add 3"]);
  });

  it("passes untouched where the pod is not enrolled", async () => {
    verdict = () => ({ kind: "not-enrolled", reason: "no label" });
    assert.equal((await call("ADD")).exitCode, 0);
    assert.equal(await outbound(), "outside");
    assert.equal(await rules(), "");
  });

  it("passes unasked in an excluded namespace", async () => {
    const args = new Map([["K8S_POD_NAMESPACE", "kube-system"]]);
    assert.equal((await call("ADD", { args })).exitCode, 0);
    assert.deepEqual(asked, []);
  });

  it("fails where nobody says whether the pod is enrolled", async () => {
    verdict = () => {
      throw new Error("istiod is away");
    };
    const { exitCode, output } = await call("ADD");
    assert.equal(exitCode, 1);
    assert.match(JSON.parse(output).msg, /istiod is away/);
    assert.equal(await rules(), "");
  });

  it("fails where its namespace does not hold the pod's address, which is left alone", async (t) => {
    t.mock.method(AbortSignal, "timeout", () => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 500);
      return controller.signal;
    });
    const prevResult = { ips: [{ address: "10.99.0.1/24" }] };
    const { exitCode, output } = await call("ADD", { prevResult });
    assert.equal(exitCode, 1);
    assert.match(JSON.parse(output).msg, /holds .*not the pod's 10\.99\.0\.1/);
    assert.equal(await rules(), "");
  });

  it("is found again by a ztunnel that starts before the pod has a process", async () => {
    await call("ADD");
    await manager.close();
    await sink.remove(POD.uid);
    start();
    assert.equal(await manager.capture(POD, AbortSignal.timeout(10_000)), "");
    assert.equal(await outbound(), "15001");
  });

  it("that is made again for the same pod is captured, not taken for the one before", async () => {
    const ips = [{ address: `${CLIENT_IPV4}/24` }];
    const netnsPath = `/proc/${bed.client.pid}/ns/net`;
    await call("ADD", { netnsPath, prevResult: { ips }, containerId: "sandbox-0" });
    assert.notEqual(await bed.nft(bed.client, "list ruleset\n"), "");
    assert.equal((await call("ADD")).exitCode, 0);
    assert.equal(await outbound(), "15001");
    await call("DEL", { containerId: "sandbox-0" });
    assert.equal(records.netnsPath(POD.uid), `/proc/${bed.pod.pid}/ns/net`);
    await removeRules(bed, bed.client.netns);
  });

  it("that is deleted is forgotten, its record too", async () => {
    await call("ADD");
    assert.equal((await call("DEL")).exitCode, 0);
    assert.equal(records.netnsPath(POD.uid), undefined);
    assert.deepEqual(fs.readdirSync(path.join(dir, "sandboxes")), []);
    assert.equal((await call("DEL")).exitCode, 0);
  });

  it("whose node the mesh leaves has its own network back, and so has the node", async () => {
    await call("ADD");
    await manager.leave();
    assert.equal(await outbound(), "outside");
    assert.equal(await rules(), "");
    assert.equal(await bed.nft(bed.node, "list ruleset\n"), "");
    records.clear();
    assert.deepEqual(fs.readdirSync(dir), []);
    const neighbour: CapturedPod = { ...POD, ips: [POD_IPV4 as IpAddress] };
    manager.apply([neighbour], []);
    assert.equal(await outbound(), "outside");
  });
});
