/**
 * Takes the mesh off one node, whether or not a ztunnel or istiod-lite still runs: the CNI plugin
 * out of the node's configuration, then all rules out of all pods and the node. A ztunnel that runs
 * is told, so that it lets its pods go in an orderly way first.
 */

import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { CniInstaller } from "./cni/cni-installer.ts";
import { isListening } from "./cni/cni-server.ts";
import { FAREWELL_DEADLINE_MS, UNINSTALL_LOOK_MS } from "./cni/limits.ts";
import { recordsDirOf } from "./cni/sandbox-records.ts";
import { UninstallMarker } from "./cni/uninstall-marker.ts";
import type { CniConfig, ZtunnelConfig } from "./config.ts";
import { sweepNode } from "./node/sweep.ts";
import { openNode } from "./node-access.ts";
import { createLinuxSyscalls } from "./sys/linux.ts";
import { createNetlink } from "./sys/netlink.ts";

/** Resolves when nothing of the mesh is left; says so to ztunnels until the signal aborts. */
export async function uninstallNode(
  config: Pick<ZtunnelConfig, "cni" | "nodeNetns">,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const { cni } = config;
  if (cni === undefined) {
    throw new MeshError("CONFIG_INVALID", "CNI_SOCKET is not set", {
      hint: "give the variables and mounts that the node's ztunnel has",
    });
  }
  const marker = new UninstallMarker(cni.socketPath);
  marker.write();
  const timer = setInterval(() => marker.write(), UNINSTALL_LOOK_MS);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  if (cni.install !== undefined) {
    new CniInstaller({ ...cni, ...cni.install, log }).remove();
  }
  await untilNobodyAnswers(cni, log);
  fs.rmSync(recordsDirOf(cni.socketPath), { recursive: true, force: true });
  const sys = createLinuxSyscalls();
  const node = openNode(sys, config.nodeNetns);
  const namesDir = path.join(cni.nodeRoot, "/run/netns");
  const { swept, failed } = await sweepNode({
    sys,
    netlink: createNetlink(),
    node,
    log,
    namesDir,
  });
  log.info("the mesh has left this node", { podsFreed: swept, podsNotFreed: failed });
}

/** A ztunnel gives its socket up as it hears of it, and its pods within a few seconds. */
async function untilNobodyAnswers({ socketPath }: CniConfig, log: Logger): Promise<void> {
  const deadline = performance.now() + FAREWELL_DEADLINE_MS;
  let wasThere = false;
  while (await isListening(socketPath)) {
    wasThere = true;
    if (performance.now() > deadline) {
      log.warn("a ztunnel still runs: it may put its rules back", { socket: socketPath });
      return;
    }
    await sleep(UNINSTALL_LOOK_MS);
  }
  if (wasThere) await sleep(FAREWELL_DEADLINE_MS / 6);
}
