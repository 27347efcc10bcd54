import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LOG_LEVELS, LogLevels, MAX_LOG_TARGETS, parseLogDirectives } from "./log-levels.ts";

function levels(text: string, before = new LogLevels("info")): LogLevels {
  const directives = parseLogDirectives(text);
  assert.ok(directives !== undefined, text);
  return before.with(directives);
}

test("a level without a target is for all that have none of their own", () => {
  const mixed = levels("debug,access=off");
  assert.ok(mixed.enabled("xds", "debug") && mixed.enabled("capture", "debug"));
  assert.equal(mixed.enabled("access", "error"), false);
  assert.equal(levels("off").enabled("xds", "error"), false);
});

test("targets are written as in RUST_LOG, as istioctl sends them, with the program's name or not", () => {
  for (const text of [
    "xds=debug",
    "xds:debug",
    "ztunnel::xds=debug",
    "ztunnel::xds:DEBUG",
    "x=debug",
  ]) {
    const parsed = levels(text);
    assert.ok(parsed.enabled("xds", "debug"), text);
    assert.ok(!parsed.enabled("capture", "debug"), text);
  }
  assert.ok(levels("hickory_server::server=off").enabled("xds", "info"));
});

test("the name of the program stands for all of it but the access log", () => {
  const parsed = levels("ztunnel=trace");
  assert.ok(parsed.enabled("xds", "trace") && parsed.enabled("ztunnel", "trace"));
  assert.ok(!parsed.enabled("access", "trace"));
});

test("the most specific target decides, whatever the order", () => {
  const parsed = levels("ztunnel::xds=error,ztunnel=debug,warn");
  assert.ok(!parsed.enabled("xds", "warn"));
  assert.ok(parsed.enabled("dns", "debug"));
  assert.equal(String(parsed), "ztunnel::xds=error,ztunnel=debug,warn");
});

test("a change keeps what it does not name, and takes istioctl's words for levels", () => {
  const changed = levels("access=critical", levels("xds=debug,warning"));
  assert.equal(String(changed), "access=error,xds=debug,warn");
  assert.equal(String(levels("xds=info", changed)), "access=error,xds=info,warn");
  assert.equal(JSON.stringify({ changed }), '{"changed":"access=error,xds=debug,warn"}');
});

test("what is no list of levels is refused whole", () => {
  for (const text of ["", "loud", "info,", ",info", "xds=", "=info", "xds=loud", "a b=info"]) {
    assert.equal(parseLogDirectives(text), undefined, text);
  }
  assert.equal(parseLogDirectives("xds[span]=info"), undefined);
  assert.equal(parseLogDirectives("__proto__"), undefined);
  assert.equal(parseLogDirectives("x=constructor"), undefined);
});

test("however many targets are named, a bounded number is kept, the newest", () => {
  let many = new LogLevels("info");
  for (let i = 0; i < 3 * MAX_LOG_TARGETS; i++) many = levels(`t${i}=debug`, many);
  const targets = String(many).split(",");
  assert.equal(targets.length, MAX_LOG_TARGETS + 1);
  assert.ok(targets.includes(`t${3 * MAX_LOG_TARGETS - 1}=debug`));
  assert.ok(!targets.includes("t0=debug"));
});

test("what is printed is read back as the same levels", () => {
  const level = fc.constantFrom(...LOG_LEVELS);
  const target = fc.stringMatching(/^[a-z_]{1,8}(::[a-z]{1,5})?$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(target, level), { maxLength: 8 }), level, (targets, rest) => {
      const text = [...targets.map(([name, value]) => `${name}=${value}`), rest].join(",");
      const once = levels(text);
      assert.equal(String(levels(String(once), new LogLevels("trace"))), String(once));
    }),
  );
});
