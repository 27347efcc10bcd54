import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { writeOciImage } from "./oci-layout.ts";
import { TarWriter } from "./tar.ts";

describe("an OCI image in a tar", () => {
  const dir = mkdtempSync(join(tmpdir(), "oci-"));
  after(() => rmSync(dir, { recursive: true }));

  function image(name: string): { file: string; digest: string } {
    const file = join(dir, `${name}.layer`);
    const layer = new TarWriter(file);
    layer.content("hello", 0o644, Buffer.from("world"));
    const layers = [{ file, createdBy: "a test", ...layer.close() }];
    const config = {
      architecture: "amd64",
      user: "1337:1337",
      workingDir: "/",
      entrypoint: ["/hello"],
      environment: { PATH: "/bin", OTHER: "a=b" },
      labels: { version: "1" },
    };
    const output = join(dir, `${name}.tar`);
    return {
      file: output,
      digest: writeOciImage(output, "docker.io/library/x:1.0", config, layers),
    };
  }

  const read = (file: string, path: string): Buffer => execFileSync("tar", ["-xOf", file, path]);
  const json = (file: string, path: string) => JSON.parse(read(file, path).toString());
  const blob = (digest: string): string => `blobs/sha256/${digest.replace("sha256:", "")}`;

  it("names every part by the digest of what is there", () => {
    const { file, digest } = image("one");
    const [entry] = json(file, "index.json").manifests;
    assert.equal(entry.digest, digest);
    assert.equal(entry.annotations["io.containerd.image.name"], "docker.io/library/x:1.0");
    const manifest = json(file, blob(digest));
    for (const part of [entry, manifest.config, ...manifest.layers]) {
      const bytes = read(file, blob(part.digest));
      assert.equal(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, part.digest);
      assert.equal(bytes.length, part.size);
    }
    const config = json(file, blob(manifest.config.digest));
    assert.deepEqual(config.rootfs.diff_ids, [manifest.layers[0].digest]);
    assert.deepEqual(config.config.Env, ["PATH=/bin", "OTHER=a=b"]);
    assert.equal(config.config.User, "1337:1337");
  });

  it("is found by older loaders by its short name", () => {
    const { file, digest } = image("two");
    const [entry] = json(file, "manifest.json");
    assert.deepEqual(entry.RepoTags, ["x:1.0"]);
    assert.equal(entry.Config, blob(json(file, blob(digest)).config.digest));
  });

  it("has the same digest whenever it holds the same", () => {
    assert.equal(image("three").digest, image("four").digest);
  });
});
