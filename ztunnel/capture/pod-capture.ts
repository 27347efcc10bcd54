/**
 * One pod of this node, from "wanted" to "captured" and back. `ensure` may be called at any time
 * and does whatever is missing:
 *
 *   searching -> listening -> programming -> captured
 *       ^            ^             ^            |
 *       |            |             +------------+  rules lost: applied again
 *       |            +--------------------------+  listeners, addresses or IPv6 changed: listens
 *       anew +---------------------------------------+  another namespace, or none: searched anew
 *
 * Listeners come before rules, so that no connection is redirected to nobody, and go a while after
 * them, for those who have not heard yet that the pod has left the mesh.
 */
import type { CapturedPod } from "#common/model/captured-pod.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { Netns } from "#ztunnel/sys/syscalls.ts";
import type { TcpSocketInfo } from "#ztunnel/sys/tcp-diag.ts";
import {
  type Attachment,
  areRulesInPlace,
  attach,
  detach,
  hasSameRules,
  isSamePlace,
  type Place,
  type PodCaptureDependencies,
  renew,
} from "./attachment.ts";
import { CAPTURED, type CaptureOutcome } from "./capture-outcome.ts";
import { CAPTURE_BACKOFF_INITIAL_MS, CAPTURE_FULL_CHECK_EVERY, RETIREMENT_MS } from "./limits.ts";
import { hasIpv6 } from "./netns-ipv6.ts";
import {
  ALL_LISTEN,
  evictListeners,
  findListenerProblems,
  type ListenerProblems,
} from "./pod-listeners.ts";
import type { NetnsSearch } from "./pod-netns.ts";
import {
  checkRules,
  findRemains,
  installRules,
  type Problem,
  removeRedirects,
  removeRules,
} from "./pod-rules.ts";
import { RepairBudget } from "./repair-budget.ts";
import { Succession } from "./succession.ts";
import { UncapturedConnections } from "./uncaptured-connections.ts";

export class PodCapture {
  readonly #deps: PodCaptureDependencies;
  readonly #onChange: () => void;
  readonly #budget = new RepairBudget();
  readonly #succession = new Succession();
  #attachment: Attachment | undefined;
  /** Of the namespace that was attached to last, whether it still is or not. */
  #connections: UncapturedConnections | undefined;
  /** What was found, until all of it has been mended. */
  #problems: readonly Problem[] = [];
  #looks = 0;
  /** Something happened in the namespace: the next look is at everything. */
  #stirred = true;
  /** When its redirects went, of a pod that is to be released. */
  #retiredAt: number | undefined;

  /** `onChange` is called when `ensure` should be, soon. */
  constructor(dependencies: PodCaptureDependencies, onChange: () => void) {
    this.#deps = dependencies;
    this.#onChange = onChange;
  }

  /** Captures the pod, or checks and repairs its capture. Throws what failed; repeat it then. */
  async ensure(pod: CapturedPod): Promise<CaptureOutcome> {
    const turn = this.#looks++ % CAPTURE_FULL_CHECK_EVERY === 0;
    const full = this.#stirred || turn || this.#attachment?.monitor === undefined;
    this.#stirred = false;
    this.#retiredAt = undefined;
    try {
      return await this.#ensure(pod, full);
    } catch (error) {
      this.#stirred = true;
      throw error;
    }
  }

  /** Whether the pod's listeners are in place: it can be reached by HBONE. */
  get isListening(): boolean {
    return this.#attachment !== undefined;
  }

  /**
   * Whether it had to be left broken for a while, and not enough time has passed in peace since.
   */
  get isUnstable(): boolean {
    return this.#budget.isStrained;
  }

  /**
   * New connections of a pod that runs on pass ztunnel by; those that come by HBONE are served
   * until `release`. Returns in how many milliseconds that is due: 0 for now.
   */
  async retire(): Promise<number> {
    const attachment = this.#attachment;
    if (attachment === undefined) return 0;
    if (this.#retiredAt === undefined) {
      if (!(await this.#runsOn(attachment))) return 0;
      await removeRedirects(this.#deps, attachment.netns);
      attachment.rules = undefined;
      this.#retiredAt = performance.now();
    }
    return Math.max(0, this.#retiredAt + RETIREMENT_MS - performance.now());
  }

  /**
   * Ends the capture. A pod that runs on gets its own network back; the rules of one that has ended
   * are left alone, or its last connections would leave unprotected.
   */
  async release(): Promise<void> {
    const attachment = this.#attachment;
    if (attachment === undefined) return;
    if (await this.#runsOn(attachment)) {
      await removeRedirects(this.#deps, attachment.netns);
      // Connections are reset while the resets still reach their clients.
      await this.#deps.sink.remove(attachment.pod.uid);
      await removeRules(this.#deps, attachment.netns);
      this.abandon();
    } else {
      await this.#detach();
    }
    await this.#deps.probes.withdraw(attachment.pod.uid);
  }

  /** Forgets the pod when the process ends: the rules stay, for the next process to take over. */
  abandon(): void {
    this.#attachment?.monitor?.close();
    if (this.#attachment !== undefined) this.#deps.sys.closeNetns(this.#attachment.netns);
    this.#attachment = undefined;
  }

  async #ensure(pod: CapturedPod, full: boolean): Promise<CaptureOutcome> {
    const { finder, probes } = this.#deps;
    const search = await finder.find(pod, full ? undefined : this.#attachment?.netns.id);
    if (search.kind !== "found") {
      if (!this.#isAttachedTo(search)) await this.#detach();
      return { kind: "absent", message: search.message };
    }
    const { attachment, foreign, isSucceeded } = await this.#attach(pod, search.netns, full);
    await probes.admit(pod.uid, pod.ips);
    if (isSucceeded) return CAPTURED;
    this.#checkRules(attachment, full);
    if (areRulesInPlace(attachment) && this.#problems.length === 0) return CAPTURED;
    const retryInMs = this.#problems.length === 0 ? 0 : this.#budget.take();
    if (retryInMs > 0) return { kind: "unstable", problems: this.#problems, retryInMs };
    try {
      return await this.#mend(attachment, foreign);
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== "RULES_NOT_IN_PLACE") throw error;
      this.#notice({ reason: "rules-changed", found: error.message });
      return {
        kind: "unstable",
        problems: this.#problems,
        retryInMs: CAPTURE_BACKOFF_INITIAL_MS,
      };
    }
  }

  async #runsOn({ pod }: Attachment): Promise<boolean> {
    const search = await this.#deps.finder.find(pod);
    if (search.kind === "found") this.#deps.sys.closeNetns(search.netns);
    return this.#isAttachedTo(search);
  }

  #isAttachedTo(search: NetnsSearch): boolean {
    if (search.kind === "missing") return false;
    const id = search.kind === "found" ? search.netns.id : search.netnsId;
    return this.#attachment?.netns.id === id;
  }

  /**
   * Takes over `netns`: it is kept open or closed. Returns what is attached now, whose listeners
   * are in its way, and whether a later ztunnel looks after the rules.
   */
  async #attach(
    pod: CapturedPod,
    netns: Netns,
    full: boolean,
  ): Promise<{ attachment: Attachment; foreign: readonly TcpSocketInfo[]; isSucceeded: boolean }> {
    const { sys, log } = this.#deps;
    const current = this.#attachment;
    try {
      const ipv6 = full || current === undefined ? hasIpv6(sys, netns) : current.ipv6;
      const place = { pod, netns, ipv6 };
      const same = current !== undefined && isSamePlace(current, place);
      const { lost, foreign, hasSuccessor } = this.#checkListeners(same ? current : undefined);
      if (same) {
        const isAsBefore = hasSuccessor || (!lost && hasSameRules(current.pod, pod));
        const attachment = isAsBefore ? current : await this.#renew(current, pod);
        sys.closeNetns(netns);
        return { attachment, foreign, isSucceeded: hasSuccessor };
      }
      this.#noticeMove(place);
      await this.#detach();
      const attachment = await attach(this.#deps, place, () => this.#stir());
      this.#attachment = attachment;
      log.debug("listeners are in place", { pod: `${pod.namespace}/${pod.name}`, netns: netns.id });
      return { attachment, foreign, isSucceeded: false };
    } catch (error) {
      sys.closeNetns(netns);
      throw error;
    }
  }

  /** Listeners that died, and another record of the pod, end no connection. */
  async #renew(attachment: Attachment, pod: CapturedPod): Promise<Attachment> {
    try {
      this.#attachment = await renew(this.#deps, attachment, pod);
      return this.#attachment;
    } catch (error) {
      await this.#detach();
      throw error;
    }
  }

  /** Notes what the pod has that another place was captured before, whatever has become of it. */
  #noticeMove({ pod, netns }: Place): void {
    const { sys, netlink } = this.#deps;
    const before = this.#connections;
    if (before?.netnsId === netns.id) {
      const ips = this.#attachment?.pod.ips.join(", ") ?? "";
      if (ips === "" || ips === pod.ips.join(", ")) return;
      const found = `the pod's address was ${ips} and is ${pod.ips.join(", ")}`;
      this.#notice({ reason: "address-changed", found });
      return;
    }
    this.#connections = new UncapturedConnections(sys, netlink, netns.id);
    if (before === undefined) return;
    const found = `the pod's network namespace was ${before.netnsId} and is ${netns.id}`;
    this.#notice({ reason: "namespace-replaced", found });
  }

  /** `hasSuccessor` only where the pod is left to it. */
  #checkListeners(attachment: Attachment | undefined): ListenerProblems {
    const { sys, netlink } = this.#deps;
    if (attachment === undefined || attachment.inodes.size === 0) return ALL_LISTEN;
    const look = findListenerProblems(sys, netlink, attachment.netns, attachment);
    const isSucceeded = this.#succession.yields(look.hasSuccessor);
    if (isSucceeded && attachment.rules !== undefined) return { ...ALL_LISTEN, hasSuccessor: true };
    for (const problem of look.problems) this.#notice(problem);
    return { ...look, hasSuccessor: false };
  }

  #checkRules(attachment: Attachment, full: boolean): void {
    const { netns, rules } = attachment;
    if (rules === undefined) {
      const remains = findRemains(this.#deps, netns, this.#connections?.areKnown ?? false);
      if (remains !== undefined) this.#notice(remains);
      return;
    }
    const { problems, generation } = checkRules(this.#deps, netns, rules, full);
    if (problems.length === 0) attachment.rules = { ...rules, generation };
    for (const problem of problems) this.#notice(problem);
  }

  /** One problem of a kind is enough, in the words of the last look. */
  #notice(problem: Problem): void {
    this.#problems = [...this.#problems.filter(({ reason }) => reason !== problem.reason), problem];
  }

  async #mend(attachment: Attachment, foreign: readonly TcpSocketInfo[]): Promise<CaptureOutcome> {
    const { sys, netlink } = this.#deps;
    const { pod, netns, ipv6 } = attachment;
    const { bypassInboundCapture, dnsCapture } = pod;
    const options = { ipv6, bypassInboundCapture, dnsCapture };
    attachment.rules = await installRules(this.#deps, netns, options);
    evictListeners(sys, netlink, netns, foreign);
    // The first capture of a pod leaves alone what stood before.
    const ended = await (this.#problems.length === 0
      ? this.#connections?.keep(netns, pod)
      : this.#connections?.end(netns, pod));
    const mended = this.#problems;
    this.#problems = [];
    return { kind: "captured", mended, ended: ended ?? 0 };
  }

  #stir(): void {
    this.#stirred = true;
    this.#onChange();
  }

  async #detach(): Promise<void> {
    const attachment = this.#attachment;
    if (attachment === undefined) return;
    await detach(this.#deps, attachment);
    this.#attachment = undefined;
    // Whoever is given the pod's address next is somebody else.
    await this.#deps.probes.withdraw(attachment.pod.uid);
  }
}
