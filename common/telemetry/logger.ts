/** Operational logs: one line per event on standard output, text (Istio's layout) or JSON. */
import { type LogLevel, LogLevels } from "./log-levels.ts";

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** A logger of the same sink for another part of the program, e.g. "xds" or "capture". */
  scope(name: string): Logger;
}

export interface LoggerOptions {
  readonly level: LogLevel | LogLevels;
  readonly format: "text" | "json";
  /** Receives whole lines with their newline. */
  readonly write: (line: string) => void;
  readonly now?: () => Date;
}

/** Levels can be changed while the program runs (`POST /logging?level=`). */
export interface LevelControl {
  levels: LogLevels;
}

export function createLogger(options: LoggerOptions, scope = "mesh"): Logger & LevelControl {
  const { level } = options;
  const control: LevelControl = {
    levels: typeof level === "string" ? new LogLevels(level) : level,
  };
  const now = options.now ?? (() => new Date());
  return {
    ...scoped(options, control, now, scope),
    get levels(): LogLevels {
      return control.levels;
    },
    set levels(levels: LogLevels) {
      control.levels = levels;
    },
  };
}

function scoped(
  options: LoggerOptions,
  control: LevelControl,
  now: () => Date,
  scope: string,
): Logger {
  const at = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (!control.levels.enabled(scope, level)) return;
    const line = options.format === "json" ? jsonLine : textLine;
    options.write(line(now().toISOString(), level, scope, message, fields ?? {}));
  };
  return {
    error: at("error"),
    warn: at("warn"),
    info: at("info"),
    debug: at("debug"),
    scope: (name) => scoped(options, control, now, name),
  };
}

function textLine(
  time: string,
  level: LogLevel,
  scope: string,
  message: string,
  fields: LogFields,
): string {
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${typeof value === "string" ? quote(value) : value}`);
  return `${[time, level, scope, printable(message), ...parts].join("\t")}\n`;
}

function jsonLine(
  time: string,
  level: LogLevel,
  scope: string,
  message: string,
  fields: LogFields,
): string {
  return `${JSON.stringify({ time, level, scope, message, ...fields })}\n`;
}

/** Quotes where needed, so that no value can forge a field or a line (CR, LF, ANSI escapes). */
export function quote(value: string): string {
  return /^[\w./:@\-+[\]]+$/.test(value) ? value : JSON.stringify(value);
}

function printable(message: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
  return message.replace(/[\x00-\x1f\x7f\x1b]/g, " ");
}
