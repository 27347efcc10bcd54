/** Makes small OCI images, as tar files that containerd imports, from lists of files. */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DEBIAN_ARCHITECTURES } from "../../../../tools/image/contents.ts";
import { writeOciImage } from "../../../../tools/image/oci-layout.ts";
import { type TarSummary, TarWriter } from "../../../../tools/image/tar.ts";

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

/** Writes the image's tar file to `path`. */
export function writeImage(path: string, content: ImageContent): void {
  const scratch = mkdtempSync(`${path}.`);
  try {
    const file = join(scratch, "layer.tar");
    const { name, entrypoint = [], command } = content;
    const config = {
      architecture: DEBIAN_ARCHITECTURES[process.arch] ?? process.arch,
      user: "0",
      workingDir: "/",
      entrypoint,
      ...(command !== undefined && { command }),
      environment: { PATH },
      labels: {},
    };
    const layer = { file, ...packLayer(file, content), createdBy: "the tests" };
    writeOciImage(path, name, config, [layer]);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function packLayer(file: string, { files, links = {}, texts = {} }: ImageContent): TarSummary {
  const tar = new TarWriter(file);
  const made = new Set(["."]);
  const makeFolder = (folder: string): void => {
    if (made.has(folder)) return;
    makeFolder(dirname(folder));
    tar.directory(folder, 0o755);
    made.add(folder);
  };
  const place = (path: string): string => {
    const relative = path.replace(/^\//, "");
    makeFolder(dirname(relative));
    return relative;
  };
  for (const folder of FOLDERS) makeFolder(folder);
  for (const [path, from] of Object.entries(files)) {
    tar.file(place(path), statSync(from).mode & 0o7777, from);
  }
  for (const [path, to] of Object.entries(links)) tar.symlink(place(path), to);
  for (const [path, text] of Object.entries(texts)) {
    tar.content(place(path), 0o644, Buffer.from(text));
  }
  return tar.close();
}
