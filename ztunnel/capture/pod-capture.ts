/**
 * One pod of this node, from "wanted" to "captured" and back. `ensure` may be called at any time
 * and does whatever is missing:
 *
 *   searching -> listening -> programming -> captured
 *       ^            ^             ^            |
 *       |            |             +------------+  rules lost: applied again
 *       |            +--------------------------+  the pod's record or IPv6 changed: listens anew
 *       +---------------------------------------+  another namespace, or none: searched anew
 *
 * Listeners come before rules and go after them, so that no connection is redirected to nobody.
 */
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { CAPTURE_FULL_CHECK_EVERY } from "#ztunnel/limits.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";
import type { ListenerSink, ProbeAdmission } from "./listener-sink.ts";
import { hasIpv6 } from "./netns-ipv6.ts";
import { openPodListeners } from "./pod-listeners.ts";
import type { NetnsSearch, PodNetnsFinder } from "./pod-netns.ts";
import { checkRules, type InstalledRules, installRules, removeRules } from "./pod-rules.ts";

export interface PodCaptureDependencies {
  readonly sys: Syscalls;
  readonly finder: PodNetnsFinder;
  readonly sink: ListenerSink;
  readonly probes: ProbeAdmission;
  readonly log: Logger;
  /** Data workers; each gets listeners of its own. */
  readonly workers: number;
}

export interface CaptureOutcome {
  readonly captured: boolean;
  /** Why the pod is not captured yet; "" when it is. */
  readonly message: string;
  /** Whether lost rules had to be put back. */
  readonly repaired: boolean;
}

interface Attachment {
  readonly pod: CapturedPod;
  readonly netns: Netns;
  readonly ipv6: boolean;
  rules: InstalledRules | undefined;
  checks: number;
}

const CAPTURED: CaptureOutcome = { captured: true, message: "", repaired: false };
const REPAIRED: CaptureOutcome = { captured: true, message: "", repaired: true };

export class PodCapture {
  readonly #deps: PodCaptureDependencies;
  #attachment: Attachment | undefined;

  constructor(dependencies: PodCaptureDependencies) {
    this.#deps = dependencies;
  }

  /** Captures the pod, or checks and repairs its capture. Throws what failed; repeat it then. */
  async ensure(pod: CapturedPod): Promise<CaptureOutcome> {
    const search = await this.#deps.finder.find(pod);
    if (search.kind !== "found") {
      if (!this.#isAttachedTo(search)) await this.#detach();
      return { captured: false, message: search.message, repaired: false };
    }
    const attachment = await this.#attach(pod, search.netns);
    await this.#deps.probes.admit(pod.uid, pod.ips);
    return this.#ensureRules(attachment);
  }

  /** Whether the pod's listeners are in place: it can be reached by HBONE. */
  get isListening(): boolean {
    return this.#attachment !== undefined;
  }

  /**
   * Whether something changed nftables in the pod since the rules were last seen to be in place.
   */
  mayHaveLostRules(): boolean {
    const { netns, rules } = this.#attachment ?? {};
    if (netns === undefined || rules === undefined) return false;
    const { sys } = this.#deps;
    try {
      return sys.inNetns(netns, () => sys.nftGeneration()) !== rules.generation;
    } catch (error) {
      // A check tells what is wrong; anything that is no system call's failure is a defect.
      if (error instanceof MeshError) return true;
      throw error;
    }
  }

  /**
   * Ends the capture. A pod that runs on gets its own network back; the rules of one that has ended
   * are left alone, or its last connections would leave unprotected.
   */
  async release(): Promise<void> {
    const attachment = this.#attachment;
    if (attachment === undefined) return;
    const { sys, finder, probes } = this.#deps;
    const search = await finder.find(attachment.pod);
    if (search.kind === "found") sys.closeNetns(search.netns);
    if (this.#isAttachedTo(search)) await removeRules(sys, attachment.netns);
    await this.#detach();
    await probes.withdraw(attachment.pod.uid);
  }

  /** Forgets the pod when the process ends: the rules stay, for the next process to take over. */
  abandon(): void {
    if (this.#attachment !== undefined) this.#deps.sys.closeNetns(this.#attachment.netns);
    this.#attachment = undefined;
  }

  #isAttachedTo(search: NetnsSearch): boolean {
    if (search.kind === "missing") return false;
    const id = search.kind === "found" ? search.netns.id : search.netnsId;
    return this.#attachment?.netns.id === id;
  }

  /** Takes over `netns`: it is kept open or closed. */
  async #attach(pod: CapturedPod, netns: Netns): Promise<Attachment> {
    const { sys, log } = this.#deps;
    const current = this.#attachment;
    try {
      const ipv6 = hasIpv6(sys, netns);
      if (current?.netns.id === netns.id && current.ipv6 === ipv6 && samePod(current.pod, pod)) {
        sys.closeNetns(netns);
        return current;
      }
      await this.#detach();
      await this.#listen(pod, netns, ipv6);
      this.#attachment = { pod, netns, ipv6, rules: undefined, checks: 0 };
      log.debug("listeners are in place", { pod: name(pod), netns: netns.id });
      return this.#attachment;
    } catch (error) {
      sys.closeNetns(netns);
      throw error;
    }
  }

  async #listen(pod: CapturedPod, netns: Netns, ipv6: boolean): Promise<void> {
    const { sys, sink, workers } = this.#deps;
    const listeners = openPodListeners(sys, netns, ipv6, workers);
    try {
      await sink.add(pod, netns, listeners);
    } catch (error) {
      await sink.remove(pod.uid);
      throw error;
    }
  }

  async #detach(): Promise<void> {
    const attachment = this.#attachment;
    if (attachment === undefined) return;
    await this.#deps.sink.remove(attachment.pod.uid);
    this.#attachment = undefined;
    this.#deps.sys.closeNetns(attachment.netns);
  }

  async #ensureRules(attachment: Attachment): Promise<CaptureOutcome> {
    const { sys, log } = this.#deps;
    const { pod, netns, ipv6, rules } = attachment;
    const options = { ipv6, bypassInboundCapture: pod.bypassInboundCapture };
    if (rules === undefined) {
      attachment.rules = await installRules(sys, netns, options);
      return CAPTURED;
    }
    attachment.checks++;
    const full = attachment.checks % CAPTURE_FULL_CHECK_EVERY === 0;
    const { problem, generation } = await checkRules(sys, netns, rules, full);
    if (problem === undefined) {
      attachment.rules = { ...rules, generation };
      return CAPTURED;
    }
    attachment.rules = await installRules(sys, netns, options);
    log.warn("capture was lost and has been repaired", { pod: name(pod), problem });
    return REPAIRED;
  }
}

function samePod(a: CapturedPod, b: CapturedPod): boolean {
  return (
    a.serviceAccount === b.serviceAccount &&
    a.workloadUid === b.workloadUid &&
    a.bypassInboundCapture === b.bypassInboundCapture &&
    a.ips.join() === b.ips.join()
  );
}

function name(pod: CapturedPod): string {
  return `${pod.namespace}/${pod.name}`;
}
