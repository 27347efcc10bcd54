/**
 * Which messages are logged: a level for all, and levels for single targets, in the notation of
 * RUST_LOG and of ztunnel's `/logging` (`info,xds=debug,access=off`).
 */

/** From the fewest messages to the most. */
export const LOG_LEVELS = ["off", "error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What istioctl takes for levels besides those above. Source: istioctl/pkg/ztunnelconfig. */
const SYNONYMS: ReadonlyMap<string, LogLevel> = new Map([
  ["warning", "warn"],
  ["critical", "error"],
]);

/** The access log's target; Istio's ztunnel does not count it to its own modules either. */
export const ACCESS_TARGET = "access";
const CRATE = "ztunnel";

/** Targets with a level of their own; there are not as many loggers. */
export const MAX_LOG_TARGETS = 64;

/** A change of levels: what it does not name stays as it was. */
export interface LogDirectives {
  readonly level: LogLevel | undefined;
  readonly targets: ReadonlyMap<string, LogLevel>;
}

export class LogLevels {
  readonly #level: LogLevel;
  readonly #targets: ReadonlyMap<string, LogLevel>;

  constructor(level: LogLevel, targets: ReadonlyMap<string, LogLevel> = new Map()) {
    this.#level = level;
    this.#targets = targets;
  }

  /** Whether a message of this level is logged; `scope` is the logger's, such as "xds". */
  enabled(scope: string, level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) <= LOG_LEVELS.indexOf(this.#levelOf(scope));
  }

  /** Of more than `MAX_TARGETS` targets the oldest are forgotten. */
  with({ level, targets }: LogDirectives): LogLevels {
    const merged = new Map([...this.#targets, ...targets]);
    return new LogLevels(level ?? this.#level, new Map([...merged].slice(-MAX_LOG_TARGETS)));
  }

  /** As ztunnel prints it: the most specific targets first, the level for all others last. */
  toString(): string {
    const targets = [...this.#targets].sort(([a], [b]) => b.length - a.length || (a < b ? -1 : 1));
    return [...targets.map(([target, level]) => `${target}=${level}`), this.#level].join(",");
  }

  toJSON(): string {
    return this.toString();
  }

  /** The longest target that begins the scope's name decides. */
  #levelOf(scope: string): LogLevel {
    let best = "";
    let found: LogLevel | undefined;
    for (const [target, level] of this.#targets) {
      if (target.length <= best.length || !covers(target, scope)) continue;
      best = target;
      found = level;
    }
    return found ?? this.#level;
  }
}

/**
 * Undefined for what is no list of levels. Istio's ztunnel takes `target=level` only; istioctl
 * documents and sends `target:level`, too.
 */
export function parseLogDirectives(text: string): LogDirectives | undefined {
  const targets = new Map<string, LogLevel>();
  let level: LogLevel | undefined;
  for (const clause of text.split(",").map((part) => part.trim())) {
    const [, target, name] = /^(?:([a-zA-Z_][\w:-]*?)[=:])?(\w+)$/.exec(clause) ?? [];
    const parsed = name === undefined ? undefined : parseLevel(name);
    if (parsed === undefined) return undefined;
    if (target === undefined) level = parsed;
    else targets.set(target, parsed);
  }
  return { level, targets };
}

function parseLevel(name: string): LogLevel | undefined {
  const lower = name.toLowerCase();
  return LOG_LEVELS.find((candidate) => candidate === lower) ?? SYNONYMS.get(lower);
}

/** `xds` and `ztunnel::xds` are one; `ztunnel` is everything but the access log. */
function covers(target: string, scope: string): boolean {
  if (scope === ACCESS_TARGET) return target === ACCESS_TARGET;
  return scope.startsWith(target) || `${CRATE}::${scope}`.startsWith(target);
}
