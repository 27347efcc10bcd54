/**
 * The CA's folder: a plugged-in CA (ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem, as in
 * Istio's secret `cacerts`), or a root of our own (root-cert.pem, root-key.pem) that is made on the
 * first start.
 */
import { randomUUID } from "node:crypto";
import { link, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "#common/runtime/errors.ts";
import { CA_CHECK_INTERVAL_MS, CA_FILE_BYTES } from "../limits.ts";
import {
  type CaStore,
  invalidPem,
  type NamedPem,
  ownRootMaterial,
  pluggedInMaterial,
} from "./ca-material.ts";
import { type CertificateAuthorityMaterial, makeRoot } from "./certificate-authority.ts";

export const CA_FILES = {
  caCert: "ca-cert.pem",
  caKey: "ca-key.pem",
  rootCert: "root-cert.pem",
  certChain: "cert-chain.pem",
  rootKey: "root-key.pem",
} as const;

export interface CaFolderOptions {
  readonly dir: string;
  /** The organization in the subject of a root that is made here. */
  readonly trustDomain: string;
  /** Milliseconds since the epoch; default Date.now. */
  readonly now?: () => number;
}

/** The CA of a folder, which is made where it does not exist. */
export function caFolder(options: CaFolderOptions): CaStore {
  const { dir } = options;
  return {
    place: dir,
    checkIntervalMs: CA_CHECK_INTERVAL_MS,
    stamp: () => stampOf(dir),
    load: () => load(options),
    reload: async () => {
      const has = await presentFiles(dir);
      if (!has.caCert && !has.rootCert) requireAll(dir, has, ["rootCert", "rootKey"]);
      return load(options);
    },
  };
}

async function load(options: CaFolderOptions): Promise<CertificateAuthorityMaterial> {
  const { dir, trustDomain } = options;
  const now = options.now ?? Date.now;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const has = await presentFiles(dir);
  const pluggedIn = has.caCert || has.caKey || has.certChain;
  if (pluggedIn) requireAll(dir, has, ["caCert", "caKey", "rootCert", "certChain"]);
  else if (has.rootCert || has.rootKey) requireAll(dir, has, ["rootCert", "rootKey"]);
  else await createRoot(dir, trustDomain, now());
  const root = await readPem(dir, "rootCert");
  if (!pluggedIn) return ownRootMaterial({ root, key: await readPem(dir, "rootKey") }, now());
  const cert = await readPem(dir, "caCert");
  const key = await readPem(dir, "caKey");
  return pluggedInMaterial({ cert, key, root, chain: await readPem(dir, "certChain") }, now());
}

async function readPem(dir: string, role: FileRole): Promise<NamedPem> {
  const file = named(join(dir, CA_FILES[role]));
  try {
    const { size } = await stat(file.name);
    if (size > CA_FILE_BYTES) throw invalidPem(file, `it is larger than ${CA_FILE_BYTES} bytes`);
    return { ...file, text: await readFile(file.name, "utf8") };
  } catch (error) {
    throw invalidPem(file, error);
  }
}

function named(path: string): Omit<NamedPem, "text"> {
  return { name: path, look: `openssl x509 -noout -text -in ${path}` };
}

type FileRole = keyof typeof CA_FILES;

async function presentFiles(dir: string): Promise<Record<FileRole, boolean>> {
  const exists = async (role: FileRole): Promise<boolean> => {
    try {
      await stat(join(dir, CA_FILES[role]));
      return true;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      throw invalidPem(named(join(dir, CA_FILES[role])), error);
    }
  };
  return {
    caCert: await exists("caCert"),
    caKey: await exists("caKey"),
    rootCert: await exists("rootCert"),
    certChain: await exists("certChain"),
    rootKey: await exists("rootKey"),
  };
}

/** A set with a hole is never completed: the missing half may be what the whole mesh trusts. */
function requireAll(dir: string, has: Record<FileRole, boolean>, set: readonly FileRole[]): void {
  const missing = set.filter((role) => !has[role]).map((role) => CA_FILES[role]);
  if (missing.length === 0) return;
  const found = set.filter((role) => has[role]).map((role) => CA_FILES[role]);
  throw new MeshError(
    "CA_FILES_INCOMPLETE",
    `${dir} has ${found.join(", ")} but not ${missing.join(", ")}`,
    {
      hint: `restore ${missing.join(", ")} from a backup, or empty ${dir} to start with a new root`,
    },
  );
}

/** Writes key and certificate. Neither file is ever overwritten, whoever else is starting here. */
async function createRoot(dir: string, trustDomain: string, now: number): Promise<void> {
  const { certPem, keyPem } = makeRoot(trustDomain, now);
  await writeNewFile(join(dir, CA_FILES.rootKey), keyPem, 0o600);
  await writeNewFile(join(dir, CA_FILES.rootCert), certPem, 0o644);
}

async function writeNewFile(path: string, content: string, mode: number): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await using file = await open(temporary, "wx", mode);
    await file.writeFile(content);
    await file.sync();
    // Unlike a rename, a link fails where the name is taken.
    await link(temporary, path);
  } catch (cause) {
    throw new MeshError("CA_FILE_INVALID", `cannot create ${path}`, {
      cause,
      hint: "is another istiod-lite starting with the same folder? Then start this one again",
    });
  } finally {
    await rm(temporary, { force: true });
  }
}

async function stampOf(dir: string): Promise<string> {
  const stamps = await Promise.all(
    Object.values(CA_FILES).map(async (name) => {
      try {
        const { ino, size, mtimeMs } = await stat(join(dir, name));
        return `${ino}/${size}/${mtimeMs}`;
      } catch {
        // Whatever keeps a file from being looked at is told by those who have to read it.
        return "-";
      }
    }),
  );
  return stamps.join(" ");
}

function errnoOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
