/** What a program may choose about its tunnels, with the defaults of Istio's ztunnel. */
import { HBONE_SIZES, type HboneSizes } from "#common/hbone/settings.ts";
import { STREAMS_PER_TUNNEL, TUNNEL_IDLE_MS } from "./limits.ts";

export interface TunnelSettings {
  /** Streams on one pooled tunnel; the next connection opens another. */
  readonly streamsPerTunnel: number;
  /** A pooled tunnel without streams is closed after this. */
  readonly tunnelIdleMs: number;
  readonly http2: HboneSizes;
}

export const DEFAULT_TUNNEL_SETTINGS: TunnelSettings = {
  streamsPerTunnel: STREAMS_PER_TUNNEL,
  tunnelIdleMs: TUNNEL_IDLE_MS,
  http2: HBONE_SIZES,
};
