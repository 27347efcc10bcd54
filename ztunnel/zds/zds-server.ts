/**
 * The agent's side of ZDS: tells every ztunnel that connects which pods of this node it has to
 * proxy, and what changes. Where two are connected, because one replaces the other, a new pod is
 * the newer one's and a removed one concerns both. Source of the semantics: istio/istio
 * cni/pkg/nodeagent/ztunnelserver_linux.go.
 */
import fs from "node:fs";
import type { ZdsWorkloadInfo } from "#common/model/zds.ts";
import { Backoff } from "#common/runtime/backoff.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import type { Logger } from "#common/telemetry/logger.ts";
import { CAPTURE_BACKOFF_INITIAL_MS, CAPTURE_BACKOFF_MAX_MS } from "#ztunnel/capture/limits.ts";
import { ZDS_CONNECTIONS_MAX } from "#ztunnel/limits.ts";
import {
  listenSeqpacket,
  type SeqpacketConnection,
  type SeqpacketListener,
} from "#ztunnel/sys/seqpacket.ts";
import { ZdsConnection } from "./zds-connection.ts";

export interface ZdsServedPod {
  readonly uid: string;
  readonly info: ZdsWorkloadInfo;
  /** An open descriptor of the pod's network namespace: stays open until `remove` has resolved. */
  readonly netnsFd: number;
}

export interface ZdsServerDeps {
  readonly path: string;
  readonly log: Logger;
  /** Pods that the agent knows of without having a descriptor: `keep` in a snapshot. */
  readonly known?: () => Iterable<string>;
  /** What a ztunnel answered about a pod: "" when it serves it, else why it does not. */
  readonly onAnswer?: (uid: string, error: string) => void;
}

interface Served {
  readonly pod: ZdsServedPod;
  readonly backoff: Backoff;
  retry: NodeJS.Timeout | undefined;
}

export class ZdsServer {
  readonly #deps: ZdsServerDeps;
  readonly #pods = new Map<string, Served>();
  /** In the order of their coming: the newest is the last. */
  readonly #connections = new Set<ZdsConnection>();
  #listener: SeqpacketListener | undefined;
  #closed = false;

  constructor(deps: ZdsServerDeps) {
    this.#deps = deps;
  }

  /**
   * Starts to listen; a socket that an earlier process left is replaced. To be called once all pods
   * of the node have been added: what a snapshot does not mention is gone for a ztunnel.
   */
  listen(): void {
    if (this.#listener !== undefined || this.#closed) return;
    const { path } = this.#deps;
    fs.rmSync(path, { force: true });
    this.#listener = listenSeqpacket(path);
    void this.#accept(this.#listener);
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Hands a pod over, now and to every ztunnel that comes; `onAnswer` says what became of it. */
  add(pod: ZdsServedPod): void {
    const limits = { initialMs: CAPTURE_BACKOFF_INITIAL_MS, maxMs: CAPTURE_BACKOFF_MAX_MS };
    clearTimeout(this.#pods.get(pod.uid)?.retry);
    const served: Served = { pod, backoff: new Backoff(limits), retry: undefined };
    this.#pods.set(pod.uid, served);
    const newest = [...this.#connections].at(-1);
    if (newest !== undefined) void this.#send(newest, served);
  }

  /** Resolves when every ztunnel has let the pod go, or is gone itself. */
  async remove(uid: string): Promise<void> {
    const served = this.#pods.get(uid);
    if (served === undefined) return;
    clearTimeout(served.retry);
    this.#pods.delete(uid);
    const all = [...this.#connections];
    const answers = await Promise.allSettled(
      all.map((connection) => connection.request({ kind: "del", uid })),
    );
    for (const answer of answers) {
      const why = answer.status === "fulfilled" ? answer.value : describeError(answer.reason);
      if (why !== "") this.#deps.log.warn("a pod was not let go by a ztunnel", { uid, why });
    }
  }

  close(): void {
    this.#closed = true;
    this.#listener?.close();
    for (const { retry } of this.#pods.values()) clearTimeout(retry);
    for (const connection of [...this.#connections]) connection.close();
    this.#pods.clear();
  }

  async #accept(listener: SeqpacketListener): Promise<void> {
    const { log, path } = this.#deps;
    for (;;) {
      let accepted: SeqpacketConnection | undefined;
      try {
        accepted = await listener.accept();
      } catch (error) {
        log.error("no ztunnel can connect any more", { path, why: describeError(error) });
        return;
      }
      if (accepted === undefined) return;
      this.#welcome(accepted);
    }
  }

  #welcome(accepted: SeqpacketConnection): void {
    const { log } = this.#deps;
    const connection = new ZdsConnection(accepted, (gone) => {
      this.#connections.delete(gone);
      log.info("a ztunnel has gone", { connected: this.#connections.size });
    });
    this.#connections.add(connection);
    const [oldest] = this.#connections;
    if (this.#connections.size > ZDS_CONNECTIONS_MAX) oldest?.close();
    log.info("a ztunnel has connected", { connected: this.#connections.size });
    this.#sendSnapshot(connection).catch((error: unknown) => {
      connection.close();
      log.warn("a ztunnel did not take its pods", { why: describeError(error) });
    });
  }

  async #sendSnapshot(connection: ZdsConnection): Promise<void> {
    const served = [...this.#pods.values()];
    const kept = [...(this.#deps.known?.() ?? [])].filter((uid) => !this.#pods.has(uid));
    // All at once into the connection's queue: what changes from now on comes after it.
    const keeps = kept.map((uid) => connection.request({ kind: "keep", uid }));
    const adds = served.map((one) => this.#send(connection, one));
    const [error] = await Promise.all([
      connection.request({ kind: "snapshot-sent" }),
      ...keeps,
      ...adds,
    ]);
    if (error !== "") throw new MeshError("ZDS_REFUSED", `the snapshot was refused: ${error}`);
  }

  /** Never rejects: a pod that is not taken is offered again, as long as somebody is there. */
  async #send(connection: ZdsConnection, served: Served): Promise<void> {
    const { uid, info, netnsFd } = served.pod;
    let error: string;
    try {
      error = await connection.request({ kind: "add", uid, info }, netnsFd);
    } catch (cause) {
      error = describeError(cause);
    }
    if (this.#pods.get(uid) !== served) return;
    this.#deps.onAnswer?.(uid, error);
    if (error === "") return served.backoff.reset();
    this.#deps.log.warn("a ztunnel does not serve a pod yet", { uid, why: error });
    clearTimeout(served.retry);
    served.retry = setTimeout(() => {
      const newest = [...this.#connections].at(-1);
      if (newest !== undefined) void this.#send(newest, served);
    }, served.backoff.next());
  }
}
