/**
 * What becomes of a sandbox that a container runtime makes: the pod is captured before it has any
 * process, or it is not to be captured, or the sandbox fails. Whom a pod belongs to is what the
 * runtime says and istiod-lite confirms; its addresses are what the plugins before ours came to.
 */
import type { CapturedPod, CaptureVerdict, SandboxedPod } from "#common/model/captured-pod.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { addressesOf, type CniRequest } from "./cni-request.ts";
import { CAPTURE_DEADLINE_MS } from "./limits.ts";
import type { SandboxRecords } from "./sandbox-records.ts";

/** Capture, as the CNI agent sees it. */
export interface SandboxCapture {
  /** Resolves with "" when the pod is captured, or with what is missing when the signal aborts. */
  capture(pod: CapturedPod, signal: AbortSignal): Promise<string>;
  /** The pod's sandbox is gone. */
  forget(podUid: string): void;
}

export interface PodAdmissionDeps {
  readonly node: string;
  /** Throws where nobody answers in time. */
  readonly verdictOn: (pod: SandboxedPod) => Promise<CaptureVerdict>;
  readonly capture: SandboxCapture;
  readonly records: SandboxRecords;
  /** Whose pods are let pass unasked: those that the mesh itself needs to start. */
  readonly excludedNamespaces: readonly string[];
  readonly log: Logger;
}

/** Source of the codes: the CNI specification, "Error". From 100 on they are the plugin's own. */
const TRY_AGAIN_LATER = 11;
const INVALID_CONFIGURATION = 7;

/** What the plugin prints, and how it ends. */
export interface CniAnswer {
  readonly exitCode: 0 | 1;
  readonly output: string;
}

export class PodAdmission {
  readonly #deps: PodAdmissionDeps;

  constructor(deps: PodAdmissionDeps) {
    this.#deps = deps;
  }

  /** Never rejects. */
  async answer(request: CniRequest): Promise<CniAnswer> {
    try {
      switch (request.command) {
        case "ADD":
          return await this.#add(request);
        case "DEL":
          return this.#delete(request);
        default:
          return failed(request, INVALID_CONFIGURATION, `CNI_COMMAND is ${request.command}`, "");
      }
    } catch (error) {
      const hint = error instanceof MeshError ? (error.hint ?? "") : "";
      this.#deps.log.warn("a sandbox was refused", {
        ...nameIn(request),
        why: describeError(error),
      });
      return failed(request, TRY_AGAIN_LATER, `ambient-mesh: ${describeError(error)}`, hint);
    }
  }

  async #add(request: CniRequest): Promise<CniAnswer> {
    const { prevResult, args, containerId, netnsPath } = request;
    if (prevResult === undefined) {
      const message = "ambient-mesh has to come after another plugin: there is no prevResult";
      return failed(request, INVALID_CONFIGURATION, message, "");
    }
    const passed: CniAnswer = { exitCode: 0, output: JSON.stringify(prevResult) };
    const { namespace, name } = nameIn(request);
    const { node, excludedNamespaces, verdictOn, records, log } = this.#deps;
    if (namespace === "" || excludedNamespaces.includes(namespace)) return passed;
    const uid = args.get("K8S_POD_UID") ?? "";
    const verdict = await verdictOn({ node, namespace, name, uid });
    if (verdict.kind === "not-enrolled") {
      log.debug("sandbox of a pod outside the mesh", { namespace, name, why: verdict.reason });
      return passed;
    }
    const ips = addressesOf(prevResult);
    if (ips.length === 0) throw new MeshError("NO_ADDRESS", "the plugins before gave no address");
    const pod = { ...verdict.pod, ips };
    records.put({ uid: pod.uid, namespace, name, containerId, netnsPath });
    await this.#capture(pod);
    return passed;
  }

  async #capture(pod: CapturedPod): Promise<void> {
    const startedAt = performance.now();
    const signal = AbortSignal.timeout(CAPTURE_DEADLINE_MS);
    const why = await this.#deps.capture.capture(pod, signal);
    if (why !== "") {
      throw new MeshError("NOT_CAPTURED", `the pod is not captured: ${why}`, {
        hint: `kubectl -n istio-system logs -l app=ztunnel shows more, for node ${this.#deps.node}`,
      });
    }
    const { namespace, name } = pod;
    const tookMs = Math.round(performance.now() - startedAt);
    this.#deps.log.debug("captured before its start", { pod: `${namespace}/${name}`, tookMs });
  }

  #delete({ containerId }: CniRequest): CniAnswer {
    const uid = this.#deps.records.remove(containerId);
    if (uid !== undefined) this.#deps.capture.forget(uid);
    return { exitCode: 0, output: "" };
  }
}

function nameIn({ args }: CniRequest): { namespace: string; name: string } {
  return {
    namespace: args.get("K8S_POD_NAMESPACE") ?? "",
    name: args.get("K8S_POD_NAME") ?? "",
  };
}

function failed({ cniVersion }: CniRequest, code: number, msg: string, details: string): CniAnswer {
  return { exitCode: 1, output: JSON.stringify({ cniVersion, code, msg, details }) };
}
