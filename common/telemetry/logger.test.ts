import assert from "node:assert/strict";
import { test } from "node:test";
import { LogLevels } from "./log-levels.ts";
import { createLogger, type LoggerOptions } from "./logger.ts";

function capture(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const logger = createLogger({
    level: "info",
    format: "text",
    write: (line) => void lines.push(line),
    now: () => new Date(0),
    ...options,
  });
  return { logger, lines };
}

test("a text line has time, level, scope, message and fields apart by tabs", () => {
  const { logger, lines } = capture();
  logger
    .scope("xds")
    .info("stream ended", { code: 14, why: "it is gone", url: "https://a:1", x: undefined });
  assert.deepEqual(lines, [
    "1970-01-01T00:00:00.000Z\tinfo\txds\tstream ended\t" +
      'code=14\twhy="it is gone"\turl=https://a:1\n',
  ]);
});

test("a JSON line is one object", () => {
  const { logger, lines } = capture({ format: "json" });
  logger.warn("odd", { n: 1 });
  assert.deepEqual(JSON.parse(lines[0] ?? ""), {
    time: "1970-01-01T00:00:00.000Z",
    level: "warn",
    scope: "mesh",
    message: "odd",
    n: 1,
  });
});

test("D4.78 no value forges a field or a line", () => {
  const { logger, lines } = capture();
  logger.info("a\nb\u001b[31m", { user: "x\tlevel=error\n1970" });
  assert.equal(lines.length, 1);
  assert.ok(!lines[0]?.includes("\u001b"));
  assert.equal(lines[0]?.split("\n").length, 2);
  assert.ok(lines[0]?.endsWith('\tuser="x\\tlevel=error\\n1970"\n'));
});

test("the level can be changed while the program runs, for loggers that exist already, too", () => {
  const { logger, lines } = capture();
  const scoped = logger.scope("xds");
  scoped.debug("unheard");
  logger.levels = new LogLevels("debug");
  assert.equal(String(logger.levels), "debug");
  scoped.debug("heard");
  logger.debug("heard");
  logger.levels = new LogLevels("error");
  scoped.warn("unheard");
  assert.equal(lines.length, 2);
});
