import assert from "node:assert/strict";
import { test } from "node:test";
import { LogLevels } from "#common/telemetry/log-levels.ts";
import { logging } from "./logging-page.ts";

function page(initial = new LogLevels("info")) {
  const logger = { levels: initial };
  const post = (search: string): string => {
    const query = { method: "POST", path: "/logging", acceptsGzip: false, fromLoopback: true };
    const parameters = new URLSearchParams(search);
    const { status, body } = logging(
      { ...query, parameters },
      { logger, initialLogLevels: initial, targets: ["access", "xds"] },
    );
    return `${status} ${body}`;
  };
  return { post, logger };
}

test("levels of single targets are set, kept and shown in ztunnel's words", () => {
  const { post } = page();
  assert.equal(post(""), "200 current log level is info\n");
  assert.equal(
    post("level=xds=debug,access=off"),
    "200 current log level is access=off,xds=debug,info\n",
  );
  assert.equal(post("level=warn"), "200 current log level is access=off,xds=debug,warn\n");
});

test("what istioctl sends is understood: no level, targets by colon, reset with a level", () => {
  const { post } = page();
  assert.equal(post("level=access:debug,info"), "200 current log level is access=debug,info\n");
  assert.equal(post("level="), "200 current log level is access=debug,info\n");
  assert.equal(post("level=info&reset"), "200 current log level is info\n");
});

test("reset goes back to the levels of the start, and on from there", () => {
  const { post } = page(new LogLevels("warn", new Map([["xds", "debug"]])));
  post("level=trace,dns=off");
  assert.equal(
    post("reset=&level=access=error"),
    "200 current log level is access=error,xds=debug,warn\n",
  );
  assert.equal(post("reset"), "200 current log level is xds=debug,warn\n");
});

test("a wrong level changes nothing, whatever it comes with, and is not echoed raw", () => {
  const { post, logger } = page();
  const before = logger.levels;
  assert.match(
    post("level=loud&reset"),
    /^400 Invalid level provided: loud\n[\s\S]*usage: POST[\s\S]*targets: access, xds\n$/,
  );
  assert.match(post("level=info,loud"), /^400/);
  assert.match(post("level=%1b[31m%0d%0aX: y"), /^400 Invalid level provided: \?\[31m\?\?X: y\n/);
  assert.ok(post(`level=${"x".repeat(10_000)}`).length < 1_200);
  assert.equal(logger.levels, before);
});
