/**
 * A stock istiod names no pods to capture: there an istio-cni agent does. A ztunnel that was not
 * told of that agent would wait for ever, in silence.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import type { Logger } from "#common/telemetry/logger.ts";
import { askDeparture, type CallChannel } from "./cni/verdicts.ts";
import { STOCK_ISTIOD_PATIENCE_MS, STOCK_ISTIOD_TIMEOUT_MS } from "./limits.ts";

export interface StockIstiodDeps {
  readonly channel: CallChannel;
  readonly node: string;
  readonly hasPods: () => boolean;
  readonly log: Pick<Logger, "warn">;
  /** @default STOCK_ISTIOD_PATIENCE_MS */
  readonly patienceMs?: number;
}

/** Warns once, if no pod has come after a while from an istiod that knows nothing of them. */
export async function warnOfStockIstiod(deps: StockIstiodDeps, signal: AbortSignal): Promise<void> {
  const { channel, node, hasPods, log, patienceMs = STOCK_ISTIOD_PATIENCE_MS } = deps;
  try {
    await sleep(patienceMs, undefined, { signal, ref: false });
    if (!hasPods()) await askDeparture(channel, node, STOCK_ISTIOD_TIMEOUT_MS);
  } catch (error) {
    if ((error as { code?: unknown } | undefined)?.code !== status.UNIMPLEMENTED) return;
    log.warn("no pods to capture are named: this istiod is not istiod-lite", {
      hint:
        "beside istio-cni set INPOD_UDS=/var/run/ztunnel/ztunnel.sock, " +
        "or XDS_ADDRESS and CA_ADDRESS to istiod-lite",
    });
  }
}
