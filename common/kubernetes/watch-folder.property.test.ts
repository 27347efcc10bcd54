/** Whatever happens to a folder, its watcher ends with what a fresh load sees. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  namespaceYaml,
  startWatch,
  temporaryFolder,
  write,
} from "#common/kubernetes/folder-fixtures.ts";
import { loadFolder } from "#common/kubernetes/load-folder.ts";

test("random edits of a tree end with what a fresh load sees", async (t) => {
  const folder = temporaryFolder(t);
  const { until } = await startWatch(t, folder);
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  for (let i = 0; i < 300; i++) {
    const directory = `d${random(4)}/e${random(3)}`;
    const path = `${directory}/f${random(3)}.yaml`;
    const action = random(10);
    if (action === 0) rmSync(join(folder, `d${random(4)}`), { recursive: true, force: true });
    else if (action === 1) rmSync(join(folder, path), { force: true });
    else write(folder, path, namespaceYaml(`n${random(40)}`, `{v: i${i}}`));
    if (random(4) === 0) await sleep(random(40));
  }
  write(folder, "end.yaml", namespaceYaml("end"));
  const fresh = await loadFolder(folder);
  await until((result) => JSON.stringify(result) === JSON.stringify(fresh), 1_500);
});
