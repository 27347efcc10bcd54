/**
 * The CNI side of a ztunnel: serves the plugin's socket, keeps the plugin in the node's
 * configuration, and takes it out when the mesh leaves the node.
 */

import { describeError } from "#common/runtime/errors.ts";
import { pause } from "#common/runtime/pause.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { CniInstaller } from "./cni-installer.ts";
import { CniServer } from "./cni-server.ts";
import { DEPARTURE_TIMEOUT_MS, UNINSTALL_LOOK_MS } from "./limits.ts";
import { PodAdmission, type SandboxCapture } from "./pod-admission.ts";
import type { SandboxRecords } from "./sandbox-records.ts";
import { UninstallMarker } from "./uninstall-marker.ts";
import { askDeparture, askVerdict, type CallChannel } from "./verdicts.ts";

export interface CniAgentOptions {
  readonly socketPath: string;
  readonly install: { readonly binDir: string; readonly confDir: string } | undefined;
  readonly excludedNamespaces: readonly string[];
  readonly node: string;
  readonly channel: CallChannel;
  readonly records: SandboxRecords;
  readonly capture: SandboxCapture;
  /** Whether pods can be captured: before that no sandbox is made to wait for it. */
  readonly isReady: () => boolean;
  /** The mesh leaves the node. */
  readonly onUninstall: () => void;
  readonly log: Logger;
}

export class CniAgent {
  readonly #options: CniAgentOptions;
  readonly #server: CniServer;
  readonly #installer: CniInstaller | undefined;
  readonly #marker: UninstallMarker;
  /** Why the socket could not be had, as it was told last. */
  #said = "";

  constructor(options: CniAgentOptions) {
    this.#options = options;
    const { channel, install, log } = options;
    const verdictOn = (pod: Parameters<typeof askVerdict>[1]) => askVerdict(channel, pod);
    const admission = new PodAdmission({ ...options, verdictOn });
    const answer = admission.answer.bind(admission);
    this.#server = new CniServer({ socketPath: options.socketPath, answer, log });
    this.#installer = install && new CniInstaller({ ...options, ...install });
    this.#marker = new UninstallMarker(options.socketPath);
  }

  /** Whether somebody is taking the mesh off this node. */
  get isUninstalled(): boolean {
    return this.#marker.holds;
  }

  /** Serves until the signal aborts, then leaves the socket to the next ztunnel. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { isReady, onUninstall } = this.#options;
    while (!(await this.#listens())) {
      await pause(UNINSTALL_LOOK_MS, signal);
      if (signal.aborted) return;
    }
    let isInstalled = false;
    while (!signal.aborted) {
      if (this.#marker.holds) {
        onUninstall();
        break;
      }
      if (!isInstalled && isReady()) {
        isInstalled = true;
        this.#installer?.start();
      }
      await pause(UNINSTALL_LOOK_MS, signal);
    }
    this.#installer?.stop();
    await this.#server.abort();
  }

  async #listens(): Promise<boolean> {
    const { log, socketPath: socket } = this.#options;
    try {
      await this.#server.listen();
      log.info("the CNI plugin of this node is answered", { socket });
      return true;
    } catch (error) {
      const why = describeError(error);
      if (why !== this.#said) log.error("the CNI plugin of this node is not answered", { why });
      this.#said = why;
      return false;
    }
  }

  /** Whether istiod-lite is sure that no other ztunnel follows on this node. */
  async isLeavingForGood(): Promise<boolean> {
    const { channel, node, log } = this.#options;
    try {
      return await askDeparture(channel, node, DEPARTURE_TIMEOUT_MS);
    } catch (error) {
      log.info("nobody says whether the mesh leaves this node: pods stay captured", {
        why: describeError(error),
      });
      return false;
    }
  }

  /** Nobody comes who needs them. */
  forgetSandboxes(): void {
    this.#options.records.clear();
  }

  /** Takes the plugin off the node. */
  uninstall(): void {
    try {
      this.#installer?.remove();
    } catch (error) {
      this.#options.log.error("the CNI plugin stays on the node", { why: describeError(error) });
    }
  }
}
