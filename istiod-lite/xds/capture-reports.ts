/**
 * What ztunnels report of their pods, written where users look: the pod's annotation and its
 * Events. A report counts only for pods of the caller's own node.
 */
import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import {
  CAPTURE_PROBLEM_ANNOTATION,
  CAPTURE_REPAIRS_ANNOTATION,
  type CaptureState,
  type PodReport,
} from "#common/model/captured-pod.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { CaptureReportRequest, CaptureReportResponse } from "#common/xds/capture-rpc.ts";
import { type EventDetails, REDIRECTION_ANNOTATION, type StatusWriter } from "../config/source.ts";
import { REPORTED_REPAIRS_MAX } from "../limits.ts";
import type { Registry } from "../registry/registry.ts";
import { type NodeCallDeps, nodeCallerOf } from "./node-call.ts";

export interface CaptureReportsDeps extends NodeCallDeps {
  readonly writer: StatusWriter;
  readonly registry: Pick<Registry, "findPod" | "captureVerdict">;
}

/** The annotation's values. Source: istio/api annotations.yaml. */
const ANNOTATION: Readonly<Record<CaptureState, string | undefined>> = {
  enabled: "enabled",
  pending: "pending",
  failed: "pending",
  disabled: undefined,
};

/** Events about a pod that something is wrong with. */
const EVENT: Readonly<Record<CaptureState, string | undefined>> = {
  enabled: "CaptureUnstable",
  pending: "CapturePending",
  failed: "CaptureFailed",
  disabled: undefined,
};

export class CaptureReports {
  readonly #deps: CaptureReportsDeps;
  /** The count of the last repair that was reported, by pod uid; the longest silent one first. */
  readonly #repairs = new Map<string, number>();

  constructor(deps: CaptureReportsDeps) {
    this.#deps = deps;
  }

  /** For `server.addService(CaptureService, …)`. */
  readonly implementation = {
    report: (
      call: ServerUnaryCall<CaptureReportRequest, CaptureReportResponse>,
      callback: sendUnaryData<CaptureReportResponse>,
    ): void => void this.#answer(call, callback),
  };

  async #answer(
    call: ServerUnaryCall<CaptureReportRequest, CaptureReportResponse>,
    callback: sendUnaryData<CaptureReportResponse>,
  ): Promise<void> {
    const { node, pods } = call.request;
    const { refusal } = await nodeCallerOf(this.#deps, call.metadata, node);
    if (refusal !== undefined) return callback(refusal);
    try {
      for (const pod of pods) await this.#write(node, pod);
      callback(null, {});
    } catch (error) {
      this.#deps.logger.error("capture report not written", { why: describeError(error) });
      callback({ code: status.UNAVAILABLE, details: "the report could not be written" });
    }
  }

  /**
   * An old pod of the same name says nothing of the new one, and one that is not to be captured
   * (any more) cannot become so by a report that comes late.
   */
  #counts(node: string, { uid, namespace, name, state }: PodReport): boolean {
    const { registry } = this.#deps;
    const pod = registry.findPod(namespace, name);
    if (pod?.uid !== uid || pod.node !== node) return false;
    if (state === "disabled") return true;
    return registry.captureVerdict({ node, namespace, name, uid })?.kind === "enrolled";
  }

  async #write(node: string, report: PodReport): Promise<void> {
    const { writer, logger } = this.#deps;
    const { namespace, name, state } = report;
    if (!this.#counts(node, report)) {
      const pod = `${namespace}/${name}`;
      logger.debug("report about a pod that is not there to capture", { node, pod, state });
      return;
    }
    await writer.setPodAnnotations(report, {
      [REDIRECTION_ANNOTATION]: ANNOTATION[state],
      [CAPTURE_PROBLEM_ANNOTATION]: problemOf(report),
      [CAPTURE_REPAIRS_ANNOTATION]: repairsOf(report),
    });
    for (const event of this.#eventsOf(report)) {
      await writer.recordEvent({ kind: "Pod", namespace, name }, event);
    }
    this.#remember(report);
  }

  #eventsOf(report: PodReport): EventDetails[] {
    const { state, message } = report;
    const events: EventDetails[] = [];
    if (this.#isNewRepair(report)) {
      const text = `capture was lost and has been put back: ${report.repairs?.last}`;
      events.push({ type: "Warning", reason: "CaptureRepaired", message: text });
    }
    const reason = EVENT[state];
    if (message !== "" && reason !== undefined) events.push({ type: "Warning", reason, message });
    return events;
  }

  /** A report that comes again, or says something else, is no repair. */
  #isNewRepair({ uid, repairs }: PodReport): boolean {
    return repairs !== undefined && this.#repairs.get(uid) !== repairs.count;
  }

  #remember({ uid, repairs }: PodReport): void {
    if (repairs === undefined) return;
    this.#repairs.delete(uid);
    this.#repairs.set(uid, repairs.count);
    const [oldest] = this.#repairs.keys();
    if (this.#repairs.size > REPORTED_REPAIRS_MAX && oldest !== undefined) {
      this.#repairs.delete(oldest);
    }
  }
}

/** What is wrong and stays so unless somebody does something. A pod on its way has no problem. */
function problemOf({ state, message }: PodReport): string | undefined {
  return message === "" || state === "pending" || state === "disabled" ? undefined : message;
}

function repairsOf({ state, repairs }: PodReport): string | undefined {
  if (repairs === undefined || state === "disabled") return undefined;
  return `${repairs.count}, last ${repairs.last}`;
}
