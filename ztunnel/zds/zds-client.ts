/**
 * Our side of ZDS: connects to an istio-cni agent, introduces itself, does what is asked and
 * answers. While the agent is away pods are served as before. Source: istio/ztunnel src/inpod.
 */

import fs from "node:fs";
import type { ZdsRequest } from "#common/model/zds.ts";
import { Backoff } from "#common/runtime/backoff.ts";
import { describeError } from "#common/runtime/errors.ts";
import { pause } from "#common/runtime/pause.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { decodeZdsRequest } from "#common/xds/decode-zds.ts";
import { encodeZdsAck, encodeZdsHello } from "#common/xds/encode-zds.ts";
import { ZDS_BACKOFF_INITIAL_MS, ZDS_BACKOFF_MAX_MS, ZDS_ERROR_CHARS } from "#ztunnel/limits.ts";
import {
  connectSeqpacket,
  type SeqpacketConnection,
  type SeqpacketMessage,
} from "#ztunnel/sys/seqpacket.ts";
import type { ZdsPods } from "./zds-pods.ts";

export interface ZdsClientDeps {
  /** INPOD_UDS: the agent's socket. */
  readonly path: string;
  readonly pods: Pick<ZdsPods, "apply" | "connectionOpened" | "connectionClosed">;
  readonly log: Logger;
  /** Uniform in [0, 1): the jitter of reconnects. @default Math.random */
  readonly random?: () => number;
}

/** What is to be done after a message: take the next one, or connect anew. */
type Next = "go-on" | "reconnect";

export class ZdsClient {
  readonly #deps: ZdsClientDeps;
  readonly #backoff: Backoff;

  constructor(deps: ZdsClientDeps) {
    this.#deps = deps;
    const limits = { initialMs: ZDS_BACKOFF_INITIAL_MS, maxMs: ZDS_BACKOFF_MAX_MS };
    this.#backoff = new Backoff(limits, deps.random);
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const why = await this.#once(signal);
      if (signal.aborted) return;
      const retryInMs = this.#backoff.next();
      const { log, path } = this.#deps;
      log.warn("no CNI agent, pods stay as they are", {
        path,
        why,
        retryInMs: Math.round(retryInMs),
      });
      await pause(retryInMs, signal);
    }
  }

  /** One connection, from its opening to its end; returns why it ended. */
  async #once(signal: AbortSignal): Promise<string> {
    let connection: SeqpacketConnection | undefined;
    const close = () => connection?.close();
    signal.addEventListener("abort", close);
    try {
      connection = connectSeqpacket(this.#deps.path);
      await connection.send(encodeZdsHello());
      return await this.#serve(connection);
    } catch (error) {
      return describeError(error);
    } finally {
      signal.removeEventListener("abort", close);
      close();
    }
  }

  async #serve(connection: SeqpacketConnection): Promise<string> {
    const { path, pods, log } = this.#deps;
    log.info("connected to the CNI agent", { path });
    pods.connectionOpened();
    try {
      for (;;) {
        const message = await connection.receive();
        if (message === undefined) return "the CNI agent closed the connection";
        if ((await this.#answer(connection, message)) === "reconnect") return "protocol error";
      }
    } finally {
      pods.connectionClosed();
    }
  }

  async #answer(connection: SeqpacketConnection, message: SeqpacketMessage): Promise<Next> {
    const { error, next } = await this.#perform(message);
    await connection.send(encodeZdsAck(error.slice(0, ZDS_ERROR_CHARS)));
    return next;
  }

  async #perform({ data, fd }: SeqpacketMessage): Promise<{ error: string; next: Next }> {
    let request: ZdsRequest;
    try {
      request = decodeZdsRequest(data);
    } catch (error) {
      if (fd !== undefined) fs.closeSync(fd);
      return this.#failed(error);
    }
    try {
      await this.#deps.pods.apply(request, fd);
      if (request.kind === "snapshot-sent") this.#backoff.reset();
      return { error: "", next: "go-on" };
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(error: unknown): { error: string; next: Next } {
    const why = describeError(error);
    this.#deps.log.error("a request of the CNI agent failed", { why });
    return { error: why, next: isTransient(error) ? "go-on" : "reconnect" };
  }
}

/** One pod that cannot be served yet is no reason to hear of no other. */
function isTransient(error: unknown): boolean {
  return (error as { code?: unknown }).code === "ZDS_POD_FAILED";
}
