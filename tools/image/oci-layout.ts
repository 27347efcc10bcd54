/**
 * An OCI image layout in one tar, which containerd, kind, k3s, minikube and `docker load` take.
 * Formats: opencontainers/image-spec (image-layout.md, config.md, manifest.md), and manifest.json
 * as `docker save` writes it, for loaders from before the layout.
 */
import { createHash } from "node:crypto";
import { TarWriter } from "./tar.ts";

export interface Layer {
  /** A file with an uncompressed tar. */
  readonly file: string;
  readonly sha256: string;
  readonly size: number;
  /** What made it, for `history`. */
  readonly createdBy: string;
}

export interface ImageConfig {
  readonly architecture: string;
  readonly user: string;
  readonly workingDir: string;
  readonly entrypoint: readonly string[];
  /** What is run, or handed to the entrypoint, where nobody says otherwise. @default nothing */
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const OCI = "application/vnd.oci.image";
/** Times stand in the config for people only; one that never changes keeps the digest. */
const CREATED = "1970-01-01T00:00:00Z";

/**
 * Writes the image as `output`. `reference` is its full name ("docker.io/library/app:1.0").
 * Returns the digest of its manifest, "sha256:…".
 */
export function writeOciImage(
  output: string,
  reference: string,
  config: ImageConfig,
  layers: readonly Layer[],
): string {
  const tar = new TarWriter(output);
  tar.directory("blobs", 0o755);
  tar.directory("blobs/sha256", 0o755);
  const json = (mediaType: string, value: unknown): Descriptor => {
    const bytes = Buffer.from(JSON.stringify(value));
    const hex = createHash("sha256").update(bytes).digest("hex");
    tar.content(`blobs/sha256/${hex}`, 0o644, bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const layerDescriptors = layers.map((layer): Descriptor => {
    tar.file(`blobs/sha256/${layer.sha256}`, 0o644, layer.file);
    const digest = `sha256:${layer.sha256}`;
    return { mediaType: `${OCI}.layer.v1.tar`, digest, size: layer.size };
  });
  const configDescriptor = json(`${OCI}.config.v1+json`, imageConfig(config, layers));
  const manifest = json(`${OCI}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: configDescriptor,
    layers: layerDescriptors,
  });
  const text = (path: string, value: unknown): void =>
    tar.content(path, 0o644, Buffer.from(JSON.stringify(value)));
  text("index.json", index(reference, manifest, config));
  text("manifest.json", dockerManifest(reference, configDescriptor, layerDescriptors));
  text("oci-layout", { imageLayoutVersion: "1.0.0" });
  tar.close();
  return manifest.digest;
}

function imageConfig(config: ImageConfig, layers: readonly Layer[]): unknown {
  return {
    created: CREATED,
    architecture: config.architecture,
    os: "linux",
    config: {
      User: config.user,
      WorkingDir: config.workingDir,
      Env: Object.entries(config.environment).map(([name, value]) => `${name}=${value}`),
      Entrypoint: config.entrypoint,
      Cmd: config.command,
      Labels: config.labels,
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ sha256 }) => `sha256:${sha256}`) },
    history: layers.map(({ createdBy }) => ({ created: CREATED, created_by: createdBy })),
  };
}

function index(reference: string, manifest: Descriptor, { architecture }: ImageConfig): unknown {
  const annotations = {
    "io.containerd.image.name": reference,
    "org.opencontainers.image.ref.name": reference.slice(reference.lastIndexOf(":") + 1),
  };
  const platform = { architecture, os: "linux" };
  return {
    schemaVersion: 2,
    mediaType: `${OCI}.index.v1+json`,
    manifests: [{ ...manifest, platform, annotations }],
  };
}

function dockerManifest(
  reference: string,
  config: Descriptor,
  layers: readonly Descriptor[],
): unknown {
  const path = ({ digest }: Descriptor): string => `blobs/sha256/${digest.slice("sha256:".length)}`;
  // Docker prints and expects the short form of its own registry's names.
  const tag = reference.replace(/^docker\.io\/library\//, "");
  return [{ Config: path(config), RepoTags: [tag], Layers: layers.map(path) }];
}
