/**
 * The HBONE tunnels of one captured pod. They start in the pod's own namespace, so no other pod can
 * use them; within the pod they are told apart by the whole `TunnelTarget`, workload UID included:
 * an address that now belongs to another pod never inherits a tunnel.
 */

import { type ConnectionFailure, failure, limitReached } from "./failure.ts";
import type { HboneTunnel, OpenStream, TunnelTarget } from "./hbone-tunnel.ts";
import { PENDING_STREAMS_PER_TUNNEL, TUNNEL_CLOSE_MS } from "./limits.ts";

interface Entry {
  readonly tunnels: Set<HboneTunnel>;
  opening: Promise<HboneTunnel | ConnectionFailure> | undefined;
  waiting: number;
}

/** What became of a CONNECT, and the tunnel it was sent on where there was one. */
export interface PoolAnswer {
  readonly outcome: OpenStream | ConnectionFailure;
  readonly tunnel?: HboneTunnel;
}

export type OpenTunnel = (
  target: TunnelTarget,
  onClosed: (tunnel: HboneTunnel) => void,
) => Promise<HboneTunnel | ConnectionFailure>;

export class HbonePool {
  readonly #entries = new Map<string, Entry>();
  readonly #open: OpenTunnel;
  readonly #idleMs: number;
  #closed = false;

  constructor(open: OpenTunnel, idleMs: number) {
    this.#open = open;
    this.#idleMs = idleMs;
  }

  /**
   * Opens a stream on a tunnel with room: a pooled one, or a new one. One connection at a time
   * opens a tunnel per target, the others wait for it. `openedSince` (`performance.now()`) leaves
   * out older tunnels: a peer that went away took all of them with it.
   */
  async connect(
    target: TunnelTarget,
    headers: readonly string[],
    openedSince = 0,
  ): Promise<PoolAnswer> {
    const key = targetKey(target);
    for (;;) {
      if (this.#closed) {
        return { outcome: failure("draining", "the proxy of this pod is closing") };
      }
      const entry = this.#entry(key);
      for (const tunnel of entry.tunnels) {
        // Without an await in between: `connect` takes the room that `hasRoom` saw.
        const eligible = tunnel.hasRoom && tunnel.openedAt >= openedSince;
        if (eligible) return { outcome: await tunnel.connect(headers), tunnel };
      }
      const opened = await this.#awaitTunnel(entry, key, target);
      if ("ok" in opened) return { outcome: opened };
    }
  }

  /** The workload is gone or has another address: its tunnels take no more streams. */
  evictWorkload(uid: string): void {
    for (const entry of this.#entries.values()) {
      for (const tunnel of entry.tunnels) {
        if (tunnel.target.workloadUid === uid) tunnel.retire();
      }
    }
  }

  /**
   * A new certificate: tunnels of the old one take no more streams and close when they are empty.
   */
  retireAll(): void {
    for (const key of this.#entries.keys()) this.#retire(key);
  }

  closeIdle(now: number): void {
    for (const tunnel of this.tunnels()) {
      if (now - (tunnel.closedAt ?? now) >= TUNNEL_CLOSE_MS) tunnel.destroy();
      else if (tunnel.activeStreams === 0 && now - tunnel.idleSince >= this.#idleMs) {
        tunnel.retire();
      }
    }
  }

  *tunnels(): Generator<HboneTunnel> {
    for (const entry of this.#entries.values()) yield* entry.tunnels;
  }

  /** No new tunnels; those that stand are cut. */
  close(): void {
    this.#closed = true;
    for (const tunnel of this.tunnels()) tunnel.destroy();
  }

  #entry(key: string): Entry {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { tunnels: new Set(), opening: undefined, waiting: 0 };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  async #awaitTunnel(
    entry: Entry,
    key: string,
    target: TunnelTarget,
  ): Promise<HboneTunnel | ConnectionFailure> {
    if (entry.waiting >= PENDING_STREAMS_PER_TUNNEL) {
      const message = `${entry.waiting} connections already wait for a tunnel`;
      return limitReached("tunnel-waiters", message);
    }
    entry.opening ??= this.#openInto(entry, key, target);
    entry.waiting++;
    try {
      return await entry.opening;
    } finally {
      entry.waiting--;
    }
  }

  async #openInto(
    entry: Entry,
    key: string,
    target: TunnelTarget,
  ): Promise<HboneTunnel | ConnectionFailure> {
    const onClosed = (tunnel: HboneTunnel): void => {
      entry.tunnels.delete(tunnel);
      this.#forgetEmpty(key, entry);
    };
    const opened = await this.#open(target, onClosed);
    entry.opening = undefined;
    if ("ok" in opened) this.#forgetEmpty(key, entry);
    else if (this.#closed) opened.destroy();
    else entry.tunnels.add(opened);
    return opened;
  }

  #forgetEmpty(key: string, entry: Entry): void {
    if (entry.tunnels.size > 0 || entry.opening !== undefined) return;
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }

  #retire(key: string): void {
    for (const tunnel of this.#entries.get(key)?.tunnels ?? []) tunnel.retire();
  }
}

function targetKey(target: TunnelTarget): string {
  const { ip, port } = target.address;
  return [
    target.sourceIdentity.uri,
    target.destinationIdentities.join(","),
    `${ip} ${port}`,
    target.workloadUid,
  ].join("|");
}
