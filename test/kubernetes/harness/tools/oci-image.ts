/** Makes small OCI images, as tar files that containerd imports, from lists of files. */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { runCommand } from "./command.ts";

export interface ImageContent {
  /** "kube.test/busybox:1" */
  readonly name: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  /** Path in the image to a file here; modes are kept. */
  readonly files: Readonly<Record<string, string>>;
  /** Path in the image to what it points to. */
  readonly links?: Readonly<Record<string, string>>;
  /** Path in the image to a text. */
  readonly texts?: Readonly<Record<string, string>>;
}

const FOLDERS = ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "var"];
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const OCI = "application/vnd.oci.image";
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** Writes the image's tar file to `path`. */
export async function writeImage(path: string, content: ImageContent): Promise<void> {
  const scratch = mkdtempSync(`${path}.`);
  try {
    const root = join(scratch, "root");
    fillRoot(root, content);
    const layerTar = join(scratch, "layer.tar");
    await makeTar(layerTar, root);
    const layout = join(scratch, "layout");
    writeLayout(layout, content, readFileSync(layerTar));
    await makeTar(path, layout);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function fillRoot(root: string, content: ImageContent): void {
  for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true });
  const place = (path: string): string => {
    const target = join(root, path);
    mkdirSync(dirname(target), { recursive: true });
    return target;
  };
  for (const [path, from] of Object.entries(content.files)) copyFileSync(from, place(path));
  for (const [path, to] of Object.entries(content.links ?? {})) symlinkSync(to, place(path));
  for (const [path, text] of Object.entries(content.texts ?? {})) writeFileSync(place(path), text);
}

/** The same bytes every time: order, times and owners are fixed. */
async function makeTar(path: string, folder: string): Promise<void> {
  const fixed = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  await runCommand(["tar", "-cf", path, ...fixed, "-C", folder, "."]);
}

/** image-spec's image-layout.md: oci-layout, index.json and blobs by their digests. */
function writeLayout(folder: string, content: ImageContent, layer: Buffer): void {
  mkdirSync(join(folder, "blobs/sha256"), { recursive: true });
  const addBlob = (mediaType: string, data: Buffer) => {
    const hex = createHash("sha256").update(data).digest("hex");
    writeFileSync(join(folder, "blobs/sha256", hex), data);
    return { mediaType, digest: `sha256:${hex}`, size: data.length };
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const layerBlob = addBlob(`${OCI}.layer.v1.tar`, layer);
  const config = {
    architecture: ARCHITECTURES[process.arch],
    os: "linux",
    config: { Env: [`PATH=${PATH}`], Entrypoint: content.entrypoint, Cmd: content.command },
    rootfs: { type: "layers", diff_ids: [layerBlob.digest] },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: addBlob(`${OCI}.config.v1+json`, json(config)),
    layers: [layerBlob],
  };
  const annotations = {
    "io.containerd.image.name": content.name,
    "org.opencontainers.image.ref.name": content.name.split(":").at(-1),
  };
  const described = { ...addBlob(manifest.mediaType, json(manifest)), annotations };
  writeFileSync(
    join(folder, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [described] }),
  );
  writeFileSync(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
}
