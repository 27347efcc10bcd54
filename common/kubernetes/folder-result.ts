/** From the tree of a folder to what is in force: the sum of its files, checked across files. */
import { type CrossChecked, crossCheck } from "#common/kubernetes/cross-check.ts";
import type { FolderIndex, TreeNode } from "#common/kubernetes/folder-index.ts";
import type { LoadedObject, LoadResult } from "#common/kubernetes/load-result.ts";
import type { UnknownKind } from "#common/kubernetes/load-text.ts";
import type { Problem } from "#common/kubernetes/problem.ts";

/** The same tree gives the same result, whatever order its files were read in. */
export function folderResult(index: FolderIndex): LoadResult {
  const objects: LoadedObject[] = [];
  const problems: Problem[] = index.rootProblem === undefined ? [] : [index.rootProblem];
  const unknownKinds: UnknownKind[] = [];
  const staleFiles: string[] = [];
  const collect = (node: TreeNode): void => {
    if (node.kind === "directory") {
      if (node.problem !== undefined) problems.push(node.problem);
      for (const name of [...node.children.keys()].sort()) {
        const child = node.children.get(name);
        if (child !== undefined) collect(child);
      }
      return;
    }
    const { content, good } = node;
    problems.push(...content.problems);
    unknownKinds.push(...content.unknownKinds);
    objects.push(...(good ?? content).objects);
    if (content.hasErrors && good !== undefined) staleFiles.push(content.file);
  };
  if (index.root !== undefined) collect(index.root);
  const checked: CrossChecked = crossCheck(objects, unknownKinds);
  return {
    objects: checked.objects,
    problems: [...problems, ...checked.problems].sort(comparePlaces),
    staleFiles,
    folderReadable: index.rootProblem === undefined,
  };
}

/** Whether two results say the same. */
export function sameResult(a: LoadResult, b: LoadResult): boolean {
  return (
    a.folderReadable === b.folderReadable &&
    a.objects.length === b.objects.length &&
    a.objects.every((entry, index) => entry === b.objects[index]) &&
    JSON.stringify([a.problems, a.staleFiles]) === JSON.stringify([b.problems, b.staleFiles])
  );
}

function comparePlaces(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}
