/**
 * Nodes whose ztunnel has gone: their captured pods are closed until it is back, and somebody has
 * to say so. The ztunnel itself takes it back, by what it reports when it is there again.
 */
import { CAPTURE_PROBLEM_ANNOTATION } from "#common/model/captured-pod.ts";
import { describeError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { decodeCapturedPod } from "#common/xds/decode-captured-pod.ts";
import { CAPTURED_POD_TYPE } from "#common/xds/type-urls.ts";
import type { StatusWriter } from "../config/source.ts";
import { ZTUNNEL_ABSENT_MS } from "../limits.ts";
import type { ResourceView } from "../registry/resource-table.ts";

export interface AbsentZtunnelsDeps {
  readonly resources: Pick<ResourceView, "all">;
  readonly writer: Pick<StatusWriter, "setPodAnnotations" | "recordEvent">;
  readonly logger: Logger;
  /**
   * Whether the node has one that is ready, though it is not connected here: it is with another
   * replica. Undefined where nobody knows.
   */
  readonly hasReadyZtunnel?: (node: string) => boolean | undefined;
}

export class AbsentZtunnels {
  readonly #deps: AbsentZtunnelsDeps;
  readonly #streams = new Map<string, number>();
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(deps: AbsentZtunnelsDeps) {
    this.#deps = deps;
  }

  /** A ztunnel of the node has connected. */
  joined(node: string): void {
    this.#streams.set(node, (this.#streams.get(node) ?? 0) + 1);
    clearTimeout(this.#timers.get(node));
    this.#timers.delete(node);
  }

  /** It has gone; it may be replaced already, or come back at once. */
  left(node: string): void {
    const streams = (this.#streams.get(node) ?? 1) - 1;
    if (streams > 0) {
      this.#streams.set(node, streams);
      return;
    }
    this.#streams.delete(node);
    const timer = setTimeout(() => this.#absent(node), ZTUNNEL_ABSENT_MS);
    this.#timers.set(node, timer.unref());
  }

  /** Nothing more is said. */
  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #absent(node: string): void {
    this.#timers.delete(node);
    const { hasReadyZtunnel, logger } = this.#deps;
    if (hasReadyZtunnel?.(node) === true) return;
    this.#tell(node).catch((error) => {
      logger.error("an absent ztunnel is not told of", { node, why: describeError(error) });
    });
  }

  async #tell(node: string): Promise<void> {
    const { resources, writer, logger } = this.#deps;
    const pods = [...resources.all(CAPTURED_POD_TYPE)].filter(({ scope }) => scope === node);
    if (pods.length === 0) return;
    const consequence = "if it is down, its captured pods can neither call nor be called";
    const message = `no ztunnel of ${node} is connected: ${consequence}`;
    logger.warn(message, { node, pods: pods.length });
    await writer.recordEvent(
      { kind: "Node", namespace: "", name: node },
      { type: "Warning", reason: "ZtunnelAbsent", message },
    );
    for (const { value } of pods) {
      await writer.setPodAnnotations(decodeCapturedPod(value), {
        [CAPTURE_PROBLEM_ANNOTATION]: message,
      });
    }
  }
}
