/**
 * `/logging`: log levels, for all and for single targets, shown and changed while the program runs.
 * The answers begin as those of Istio's ztunnel do, which `istioctl ztunnel-config log` prints.
 */
import type { Answer, Query } from "#common/runtime/http-server.ts";
import { LOG_LEVELS, type LogLevels, parseLogDirectives } from "#common/telemetry/log-levels.ts";
import type { LevelControl } from "#common/telemetry/logger.ts";

export interface LoggingDeps {
  readonly logger: LevelControl;
  /** What `reset` goes back to. */
  readonly initialLogLevels: LogLevels;
  /** Whose levels can be set singly. */
  readonly targets: readonly string[];
}

const USAGE = `
usage: POST /logging                              shows the levels
       POST /logging?level=<level>                sets that of all that have none of their own
       POST /logging?level=<target>=<level>,...   sets those of single targets
       POST /logging?reset                        goes back to the levels of the start
       POST /logging?reset&level=...              ... and on from there

levels: ${LOG_LEVELS.join(", ")}`;

/** With `reset`, `level` is applied to the levels of the start. Nothing changes if it is wrong. */
export function logging({ parameters }: Query, deps: LoggingDeps): Answer {
  const { logger, initialLogLevels, targets } = deps;
  const given = parameters.getAll("level").filter((level) => level !== "");
  const base = parameters.has("reset") ? initialLogLevels : logger.levels;
  const level = given.join(",");
  const directives = level === "" ? undefined : parseLogDirectives(level);
  if (level !== "" && directives === undefined) {
    const help = `${USAGE}\ntargets: ${targets.join(", ")}\n`;
    return { status: 400, body: `Invalid level provided: ${printable(level)}\n${help}` };
  }
  logger.levels = directives === undefined ? base : base.with(directives);
  return { status: 200, body: `current log level is ${logger.levels}\n` };
}

/** What was sent, without what could be meant for the caller's terminal. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, 200);
}
