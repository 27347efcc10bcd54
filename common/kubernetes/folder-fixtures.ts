/** Temporary folders of YAML for tests, and a watcher whose results can be awaited. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { LoadResult } from "#common/kubernetes/load-result.ts";
import { objectKey } from "#common/kubernetes/objects.ts";
import { watchFolder } from "#common/kubernetes/watch-folder.ts";

/** A folder that is removed after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "objects-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes in place, directories included. */
export function write(folder: string, path: string, text: string): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

/** Writes as programs and careful editors do: beside the file, then over it. */
export function replace(folder: string, path: string, text: string): void {
  const file = join(folder, path);
  const temporary = write(folder, `${dirname(path)}/.new`, text);
  renameSync(temporary, file);
}

export function namespaceYaml(name: string, labels = "{}"): string {
  return `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${name}\n  labels: ${labels}\n`;
}

export function keysOf(result: LoadResult): string[] {
  return result.objects.map(({ object }) => objectKey(object));
}

/** The labels of a Namespace of a result; undefined when it is not there. */
export function labelsOf(result: LoadResult, name: string): unknown {
  const found = result.objects.find(({ object }) => object.metadata.name === name);
  return found?.object.metadata.labels;
}

export async function startWatch(t: TestContext, folder: string) {
  const results: LoadResult[] = [];
  const watcher = await watchFolder(folder, (result) => void results.push(result));
  t.after(() => watcher.close());
  return {
    results,
    watcher,
    /** Resolves with the last result once it is as wanted; fails after `withinMs`. */
    async until(wanted: (result: LoadResult) => boolean, withinMs = 4_000): Promise<LoadResult> {
      const started = performance.now();
      while (!wanted(watcher.result)) {
        if (performance.now() - started > withinMs) {
          throw new Error(`not reached; last: ${JSON.stringify(watcher.result, null, 1)}`);
        }
        await sleep(2);
      }
      return watcher.result;
    },
  };
}
