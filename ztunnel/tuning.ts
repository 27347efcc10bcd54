/**
 * What people may change about connections and tunnels, by the names and with the defaults of
 * Istio's ztunnel.
 */

import { boolean, durationMs, type Environment, integer } from "#common/config/environment.ts";
import { HBONE_SIZES } from "#common/hbone/settings.ts";
import { STREAMS_PER_TUNNEL, TUNNEL_IDLE_MS } from "#common/transport/limits.ts";
import { DEFAULT_TUNNEL_SETTINGS, type TunnelSettings } from "#common/transport/tunnel-settings.ts";
import { DEFAULT_KEEPALIVE, type Keepalive } from "./sys/syscalls.ts";

export interface Tuning extends TunnelSettings {
  /** TCP keepalive of every socket in a pod. */
  readonly keepalive: Keepalive;
}

export const DEFAULT_TUNING: Tuning = { ...DEFAULT_TUNNEL_SETTINGS, keepalive: DEFAULT_KEEPALIVE };

const HOUR_MS = 3_600_000;
/** Linux tcp.h: MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL and MAX_TCP_KEEPCNT. */
const KEEPALIVE_MS = { min: 1_000, max: 32_767_000 };
const KEEPALIVE_PROBES = { min: 1, max: 127 };
/** RFC 9113 6.5.2 and 6.9.2; a window below its default would have to be taken back. */
const WINDOW_BYTES = { min: 65_535, max: 0x7fff_ffff };
const FRAME_BYTES = { min: 16_384, max: 0xff_ffff };

/** Throws MeshError CONFIG_INVALID for the first variable that is wrong. */
export function readTuning(env: Environment): Tuning {
  const { streamWindowBytes, connectionWindowBytes, maxFrameBytes } = HBONE_SIZES;
  const bytes = (name: string, fallback: number) => integer(env, name, fallback, WINDOW_BYTES);
  return {
    keepalive: readKeepalive(env),
    streamsPerTunnel: integer(env, "POOL_MAX_STREAMS_PER_CONNECTION", STREAMS_PER_TUNNEL, {
      min: 1,
      max: 65_535,
    }),
    tunnelIdleMs: durationMs(env, "POOL_UNUSED_RELEASE_TIMEOUT", TUNNEL_IDLE_MS, {
      min: 0,
      max: 24 * HOUR_MS,
    }),
    http2: {
      streamWindowBytes: bytes("HTTP2_STREAM_WINDOW_SIZE", streamWindowBytes),
      connectionWindowBytes: bytes("HTTP2_CONNECTION_WINDOW_SIZE", connectionWindowBytes),
      maxFrameBytes: integer(env, "HTTP2_FRAME_SIZE", maxFrameBytes, FRAME_BYTES),
    },
  };
}

function readKeepalive(env: Environment): Keepalive {
  const { enabled, idleS, intervalS, probes, userTimeout } = DEFAULT_KEEPALIVE;
  const seconds = (name: string, fallbackS: number) =>
    Math.round(durationMs(env, name, fallbackS * 1000, KEEPALIVE_MS) / 1000);
  return {
    enabled: boolean(env, "KEEPALIVE_ENABLED", enabled),
    idleS: seconds("KEEPALIVE_TIME", idleS),
    intervalS: seconds("KEEPALIVE_INTERVAL", intervalS),
    probes: integer(env, "KEEPALIVE_RETRIES", probes, KEEPALIVE_PROBES),
    userTimeout: boolean(env, "USER_TIMEOUT_ENABLED", userTimeout),
  };
}
