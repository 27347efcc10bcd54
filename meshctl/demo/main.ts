/**
 * `npm run demo`: a guided tour of the mesh on this machine, every claim shown by real commands.
 */
import { createInterface } from "node:readline/promises";
import { failureText } from "#common/runtime/errors.ts";
import { CHAPTERS } from "./chapters.ts";
import { Narrator } from "./narrator.ts";
import { Stage } from "./stage.ts";

const print = (text: string): void => void process.stdout.write(text);
const isTerminal = process.stdout.isTTY === true && process.stdin.isTTY === true;

try {
  print("Making a cluster of two nodes out of network namespaces:\n");
  const stage = await Stage.start(({ kind, text }) => {
    if (kind === "progress" || kind === "ready" || kind === "problem") print(`   ${text}\n`);
  });
  // Ctrl-C ends this process, and the kernel ends the cluster with it.
  const startedAt = performance.now();
  try {
    const narrator = new Narrator(stage, print, isTerminal);
    await stage.waitFor("the shop is ready", () => shopIsReady(stage));
    for (const chapter of CHAPTERS) await chapter(stage, narrator);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
    print(`\n${narrator.proved} claims shown in ${seconds} s.\n`);
    if (isTerminal) await stayUp(stage);
  } finally {
    await stage.stop();
  }
  print("The cluster is gone: no process, namespace, address, rule or file of it is left.\n");
} catch (error) {
  process.stderr.write(failureText("demo", error));
  process.exitCode = 1;
}

async function shopIsReady(stage: Stage): Promise<boolean> {
  const { output } = await stage.meshctl(["get", "pods", "-A"]);
  const rows = output
    .split("\n")
    .filter((line) => /^(storefront|catalog|payments|legacy)\s/.test(line));
  return rows.length === 5 && rows.every((row) => / 1\/1 /.test(row));
}

async function stayUp(stage: Stage): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question("\nKeep the cluster up to look around? [y/N] ");
  terminal.close();
  if (!/^y/i.test(answer)) return;
  print(`It follows the folder ${stage.folder}. In another terminal:\n`);
  print(`   export MESHCTL_CLUSTER=${stage.name}\n   ./tools/meshctl get pods -A\n`);
  print("Ctrl-C here ends it.\n");
  await stage.ended;
}
