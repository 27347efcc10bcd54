/**
 * `/logging`: log levels, for all and for single targets, shown and changed while ztunnel runs. The
 * answers begin as those of Istio's ztunnel do, which `istioctl ztunnel-config log` prints.
 */
import type { Answer, Query } from "#common/runtime/http-server.ts";
import { LOG_LEVELS, type LogLevels, parseLogDirectives } from "#common/telemetry/log-levels.ts";
import type { LevelControl } from "#common/telemetry/logger.ts";

export interface LoggingDeps {
  readonly logger: LevelControl;
  /** What `reset` goes back to. */
  readonly initialLogLevels: LogLevels;
}

const HELP = `
usage: POST /logging                              shows the levels
       POST /logging?level=<level>                sets that of all that have none of their own
       POST /logging?level=<target>=<level>,...   sets those of single targets
       POST /logging?reset                        goes back to the levels of the start
       POST /logging?reset&level=...              ... and on from there

levels: ${LOG_LEVELS.join(", ")}
targets: access, capture, identity, inpod, xds, ztunnel
`;

/** With `reset`, `level` is applied to the levels of the start. Nothing changes if it is wrong. */
export function logging({ parameters }: Query, { logger, initialLogLevels }: LoggingDeps): Answer {
  const given = parameters.getAll("level").filter((level) => level !== "");
  const base = parameters.has("reset") ? initialLogLevels : logger.levels;
  const level = given.join(",");
  const directives = level === "" ? undefined : parseLogDirectives(level);
  if (level !== "" && directives === undefined) {
    return { status: 400, body: `Invalid level provided: ${printable(level)}\n${HELP}` };
  }
  logger.levels = directives === undefined ? base : base.with(directives);
  return { status: 200, body: `current log level is ${logger.levels}\n` };
}

/** What was sent, without what could be meant for the caller's terminal. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, 200);
}
