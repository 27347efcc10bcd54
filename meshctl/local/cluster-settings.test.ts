import assert from "node:assert/strict";
import { test } from "node:test";
import { SETTINGS_OPTION, settingsOf } from "./cluster-settings.ts";

const PROGRAM = "/anywhere/meshctl/local/cluster-main.ts";
const SETTINGS = { name: "c", mesh: true, detached: false };
const words = ["/bin/node", PROGRAM, SETTINGS_OPTION, JSON.stringify(SETTINGS)];

test("an init is recognised by its command line, and nothing that merely starts or edits one", () => {
  assert.deepEqual(settingsOf(words), SETTINGS);
  assert.equal(settingsOf(["unshare", "--fork", ...words]), undefined);
  assert.equal(settingsOf(["/usr/bin/setpriv", "unshare", ...words]), undefined);
  assert.equal(settingsOf(["vi", PROGRAM]), undefined);
  assert.equal(settingsOf(["node", PROGRAM, SETTINGS_OPTION, "{cut"]), undefined);
  assert.equal(settingsOf([]), undefined);
});
