/** `meshctl exec` at a terminal and without one. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startCluster, type TestCluster } from "#test/support/cluster.ts";
import { namespace, pod } from "#test/support/objects.ts";
import { run } from "#test/support/run.ts";

const MESHCTL = fileURLToPath(new URL("main.ts", import.meta.url));

let cluster: TestCluster;
let exec: readonly string[];

before(async () => {
  const web = pod({ namespace: "shop", name: "web", node: "node1" });
  const objects = [namespace("shop", undefined), ...web];
  cluster = await startCluster({ mesh: false, objects });
  const { name } = await cluster.client.info();
  exec = [process.execPath, MESHCTL, "exec", "--name", name, "web", "-n", "shop"];
});

after(() => cluster?.stop());

/** Runs `meshctl exec … -- argv` at a terminal of its own. */
function atTerminal(...argv: string[]) {
  const quoted = [...exec, "-it", "--", ...argv].map((word) => `'${word}'`).join(" ");
  return run(["script", "-qec", `stty cols 77; exec ${quoted}`, "/dev/null"], {
    env: { PATH: process.env.PATH ?? "", TERM: "xterm" },
  });
}

describe("meshctl exec", () => {
  test("gives the command the terminal that it has, with its size and its kind", async () => {
    const { stdout, code } = await atTerminal("sh", "-c", "test -t 0 && stty size && echo $TERM");
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^\d+ 77\r\nxterm\r\n$/);
  });

  test("without a terminal passes on bytes, and the command's status", async () => {
    const argv = [...exec, "--", "sh", "-c", "test -t 0 || cat; exit 7"];
    const { stdout, code } = await run(argv, { stdin: "as\u0000they\u0003are" });
    assert.deepEqual([stdout, code], ["as\u0000they\u0003are", 7]);
  });
});
