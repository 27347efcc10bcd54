/** However a tree came about, its content is what it would be had it been read at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { FileNode } from "#common/kubernetes/file-node.ts";
import { FolderContent } from "#common/kubernetes/folder-content.ts";
import type { DirectoryNode, TreeNode } from "#common/kubernetes/folder-index.ts";
import { objectsInForce } from "#common/kubernetes/folder-result.ts";
import { type FileContent, loadText } from "#common/kubernetes/load-text.ts";
import { objectKey } from "#common/kubernetes/objects.ts";

const small = (names: readonly string[]) => fc.constantFrom(...names);
const document = fc.record({
  kind: small(["Namespace", "Namespace", "ServiceAccount", "Mystery", "Broken"]),
  name: small(["a", "b", "c"]),
  namespace: small(["a", "b", "default"]),
});
/** The path of a file, and its documents; none remove it. */
const edit = fc.record({
  directory: small(["", "d", "d/e", "d.yaml"]),
  name: small(["f.yaml", "g.yaml"]),
  documents: fc.option(fc.array(document, { maxLength: 3 }), { nil: undefined }),
  /** Removes the directory instead. */
  wholly: fc.boolean(),
});

test("edits one by one come to what the tree they leave comes to at once", () => {
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 30 }), (edits) => {
      const content = new FolderContent();
      let root = directory([]);
      const told = new Map<string, unknown>();
      content.replace("", undefined, root);
      for (const one of edits) {
        const after = edited(root, one);
        content.replace("", root, after);
        root = after;
        for (const [key, object] of content.takeChanges()) {
          assert.notEqual(told.get(key), object, `${key} is told although it did not change`);
          if (object === undefined) told.delete(key);
          else told.set(key, object);
        }
      }
      const fresh = new FolderContent();
      fresh.replace("", undefined, root);
      const objects = objectsInForce(root, fresh);
      assert.deepEqual(content.problems(), fresh.problems());
      assert.deepEqual(content.staleFiles(), fresh.staleFiles());
      assert.deepEqual(objectsInForce(root, content), objects);
      const expected = new Map(objects.map(({ object }) => [objectKey(object), object]));
      assert.deepEqual(told, expected);
    }),
    { numRuns: 200 },
  );
});

test("touching nothing tells nothing", () => {
  const content = new FolderContent();
  const root = directory([["f.yaml", file("f.yaml", "kind: Namespace", undefined)]]);
  content.replace("", undefined, root);
  content.takeChanges();
  content.replace("", root, directory([...root.children]));
  assert.equal(content.takeChanges().size, 0);
  assert.equal(content.problems().length, 1);
});

type Edit = typeof edit extends fc.Arbitrary<infer Value> ? Value : never;

function edited(root: DirectoryNode, { directory: path, name, documents, wholly }: Edit) {
  const put = (at: TreeNode | undefined, steps: readonly string[], where: string): TreeNode => {
    const children = new Map(at?.kind === "directory" ? at.children : []);
    const [step = name, ...rest] = steps;
    const child = children.get(step);
    const below = `${where}/${step}`;
    if (steps.length > 0 && !(wholly && rest.length === 0)) {
      children.set(step, put(child, rest, below));
    } else if (documents === undefined || steps.length > 0) {
      children.delete(step);
    } else {
      const before = child?.kind === "file" ? child : undefined;
      children.set(step, file(below, documents.map(yamlOf).join("---\n"), before));
    }
    return directory([...children]);
  };
  return put(root, path === "" ? [] : path.split("/"), "folder") as DirectoryNode;
}

function directory(children: readonly (readonly [string, TreeNode])[]): DirectoryNode {
  return { kind: "directory", identity: "", children: new Map(children) };
}

function file(path: string, text: string, before: FileNode | undefined): FileNode {
  const content: FileContent = loadText(text, path);
  const good = content.hasErrors ? before?.good : content;
  const fingerprint = { text: "", size: 0, modifiedMs: 0 };
  const node = { kind: "file", fingerprint, trusted: true, digest: text, content } as const;
  return good === undefined ? node : { ...node, good };
}

function yamlOf({ kind, name, namespace }: { kind: string; name: string; namespace: string }) {
  if (kind === "Broken") return "kind: [\n";
  const scope = kind === "Namespace" ? "" : `, namespace: ${namespace}`;
  return `apiVersion: v1\nkind: ${kind}\nmetadata: {name: ${name}${scope}}\n`;
}
