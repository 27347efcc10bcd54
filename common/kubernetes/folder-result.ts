/** From the tree of a folder to the objects in force, all of them in the order of their files. */
import type { FolderContent } from "#common/kubernetes/folder-content.ts";
import type { FolderIndex, TreeNode } from "#common/kubernetes/folder-index.ts";
import type { FolderState, LoadedObject, LoadResult } from "#common/kubernetes/load-result.ts";
import { objectKey } from "#common/kubernetes/objects.ts";

/** The same tree gives the same result, whatever order its files were read in. */
export function folderResult(index: FolderIndex, content: FolderContent): LoadResult {
  return { objects: objectsInForce(index.root, content), ...folderState(index, content) };
}

/** All that a result says beside its objects. */
export function folderState(index: FolderIndex, content: FolderContent): FolderState {
  const { rootProblem } = index;
  const problems = content.problems();
  return {
    problems: rootProblem === undefined ? problems : [rootProblem, ...problems],
    staleFiles: content.staleFiles(),
    folderReadable: rootProblem === undefined,
  };
}

/** Whether two states say the same. */
export function sameState(a: FolderState, b: FolderState): boolean {
  return (
    a.folderReadable === b.folderReadable &&
    JSON.stringify([a.problems, a.staleFiles]) === JSON.stringify([b.problems, b.staleFiles])
  );
}

/** One per key. */
export function objectsInForce(
  root: TreeNode | undefined,
  content: FolderContent,
): readonly LoadedObject[] {
  const objects: LoadedObject[] = [];
  const collect = (node: TreeNode): void => {
    if (node.kind === "directory") {
      for (const name of [...node.children.keys()].sort()) {
        const child = node.children.get(name);
        if (child !== undefined) collect(child);
      }
      return;
    }
    for (const entry of (node.good ?? node.content).objects) {
      if (content.owner(objectKey(entry.object)) === entry) objects.push(entry);
    }
  };
  if (root !== undefined) collect(root);
  return objects;
}
