import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describeError } from "#common/runtime/errors.ts";
import { TABLE_MATCHES } from "./limits.ts";
import { CALLER, head, match, routes, rule } from "./route-fixtures.ts";
import { RouteTables } from "./route-tables.ts";

function create() {
  const told: string[] = [];
  const slices = { now: () => performance.now(), pause: () => nextTurn() };
  const tables = new RouteTables(slices, (problem) => {
    told.push(problem instanceof Error ? describeError(problem) : problem.message);
  });
  return { tables, told };
}

test("the same table comes for the same routes, prepared or asked for while it is prepared", async () => {
  const { tables } = create();
  const given = routes([rule("r")]);
  const prepared = tables.prepare(given);
  const table = tables.tableOf(given);
  await prepared;
  await tables.prepare(given);
  assert.equal(tables.tableOf(given), table);
  assert.notEqual(tables.tableOf(routes([rule("r")])), table);
  assert.equal(table?.match(head("/"), CALLER)?.rule, given.rules[0]);
});

test("problems are told once", async () => {
  const { tables, told } = create();
  const bad = match({ path: { kind: "regex", value: "(" } });
  const given = routes([rule("r", { matches: [bad] })]);
  await tables.prepare(given);
  tables.tableOf(given);
  assert.equal(told.length, 1);
});

test("more matches than a table may have are refused, and the routes have no table", () => {
  const { tables, told } = create();
  const one = match();
  const many = Array.from({ length: TABLE_MATCHES + 1 }, () => one);
  const given = routes([rule("r", { matches: many })]);
  assert.equal(tables.tableOf(given), undefined);
  assert.equal(tables.tableOf(given), undefined);
  assert.deepEqual(told, [`a port has more than ${TABLE_MATCHES} matches`]);
});
