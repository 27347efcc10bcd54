/** A folder with a kustomization.yaml, rendered. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { renderKustomization } from "./kustomization.ts";
import { keyOf, type Manifest } from "./manifest.ts";

/** Returns what the check returns, with the files in a folder that then goes away. */
async function inFolder<T>(files: Record<string, string>, check: (folder: string) => Promise<T>) {
  const folder = await mkdtemp(join(tmpdir(), "kustomization-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    return await check(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const DAEMON_SET = `
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: ztunnel, namespace: istio-system }
spec:
  selector: { matchLabels: { app: ztunnel } }
  template:
    metadata: { labels: { app: ztunnel } }
    spec:
      tolerations: [{ operator: Exists }]
      volumes: [{ name: cni, hostPath: { path: /etc/cni } }]
      containers:
      - name: istio-proxy
        image: ambient-mesh:0.1.0
        args: [proxy, ztunnel]
        env: [{ name: A }, { name: Y, value: y }, { name: B, value: "2" }, { name: Z, value: z }]
        ports: [{ containerPort: 15020 }]
`;

const FILES = {
  "base/kustomization.yaml": `
resources: [ns.yaml, ztunnel]
labels: [{ pairs: { part: mesh }, includeTemplates: true }]
`,
  "base/ns.yaml":
    "apiVersion: v1\nkind: Namespace\nmetadata: { name: istio-system }\n---\n" +
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: c, namespace: istio-system }\n",
  "base/ztunnel/kustomization.yaml": "resources: [ds.yaml]\n",
  "base/ztunnel/ds.yaml": DAEMON_SET,
  "part/kustomization.yaml": `
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
- target: { kind: DaemonSet, name: ztunnel }
  patch: |
    - { op: add, path: /spec/template/spec/containers/0/args/-, value: --verbose }
    - { op: replace, path: /spec/template/spec/tolerations/0/operator, value: Equal }
    - { op: remove, path: /spec/template/spec/containers/0/ports }
`,
  "top/settings.json": '{ "x": 1 }\n',
  "top/patch.yaml": `
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: ztunnel, namespace: istio-system }
spec:
  template:
    spec:
      priorityClassName: null
      volumes: [{ name: cni, hostPath: { path: /opt/cni } }]
      containers:
      - name: istio-proxy
        env: [{ name: B, value: "3" }, { name: A, $patch: delete }, { name: C, value: "4" }]
`,
  "top/kustomization.yaml": `
resources: [../base]
components: [../part]
images: [{ name: ambient-mesh, newName: registry/mesh, newTag: "9" }]
configMapGenerator:
- name: made
  namespace: istio-system
  files: [settings.json]
  options: { disableNameSuffixHash: true }
patches:
- path: patch.yaml
- target: { kind: ConfigMap, name: c }
  patch: |
    { $patch: delete, apiVersion: v1, kind: ConfigMap, metadata: { name: c } }
`,
};

function byKey(objects: readonly Manifest[]) {
  return Object.fromEntries(objects.map((object) => [keyOf(object), object]));
}

describe("a kustomization", () => {
  test("is bases, components, patches, images, labels and generated ConfigMaps", async () => {
    const objects = await inFolder(FILES, (folder) => renderKustomization(join(folder, "top")));
    const daemonSet = byKey(objects)["apps/DaemonSet/istio-system/ztunnel"];
    assert.equal(daemonSet?.metadata.labels?.part, "mesh");
    const { template } = (daemonSet?.spec ?? {}) as { template?: unknown };
    assert.deepEqual(template, {
      metadata: { labels: { app: "ztunnel", part: "mesh" } },
      spec: {
        tolerations: [{ operator: "Equal" }],
        volumes: [{ name: "cni", hostPath: { path: "/opt/cni" } }],
        containers: [
          {
            name: "istio-proxy",
            image: "registry/mesh:9",
            args: ["proxy", "ztunnel", "--verbose"],
            env: [
              { name: "B", value: "3" },
              { name: "C", value: "4" },
              { name: "Y", value: "y" },
              { name: "Z", value: "z" },
            ],
          },
        ],
      },
    });
    assert.deepEqual(byKey(objects)["/ConfigMap/istio-system/made"]?.data, {
      "settings.json": '{ "x": 1 }\n',
    });
    assert.equal(byKey(objects)["/ConfigMap/istio-system/c"], undefined);
  });

  const refused: [string, Record<string, string>, RegExp][] = [
    ["a field that is not known", { "kustomization.yaml": "namePrefix: x\n" }, /field namePrefix/],
    ["a file that is not there", { "kustomization.yaml": "resources: [a.yaml]\n" }, /a\.yaml/],
    ["a ring of folders", { "kustomization.yaml": "resources: [.]\n" }, /in a ring/],
    [
      "a patch for nobody",
      {
        "kustomization.yaml":
          'patches: [{ target: { kind: Pod }, patch: "{ kind: Pod, metadata: { name: x } }" }]\n',
      },
      /a patch is for .*Pod.* not there/,
    ],
    [
      "an object that comes twice",
      {
        "kustomization.yaml": "resources: [a.yaml, b.yaml]\n",
        "a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\n",
        "b.yaml": "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\n",
      },
      /Secret.* comes twice/,
    ],
    [
      "a document that is no object",
      { "kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": "kind: Pod\n" },
      /no apiVersion/,
    ],
  ];
  for (const [what, files, message] of refused) {
    test(`is refused with ${what}`, async () => {
      await inFolder(files, (folder) =>
        assert.rejects(renderKustomization(folder), (error: { code: string; message: string }) => {
          assert.equal(error.code, "MANIFEST");
          assert.match(error.message, message);
          return true;
        }),
      );
    });
  }
});
