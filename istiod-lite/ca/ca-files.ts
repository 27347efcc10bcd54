/**
 * The CA's folder: a plugged-in CA (ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem, as in
 * Istio's secret `cacerts`), or a root of our own (root-cert.pem, root-key.pem) that is made on the
 * first start. What is found is checked before anything is signed with it, and errors name the
 * file.
 */
import { createPrivateKey, type KeyObject, randomUUID, type X509Certificate } from "node:crypto";
import { link, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { findPath } from "#common/tls/certificate-path.ts";
import { readPemCertificates } from "#common/tls/pem.ts";
import { readExtensions } from "#common/tls/x509-extensions.ts";
import { CA_FILE_BYTES } from "../limits.ts";
import {
  CertificateAuthority,
  type CertificateAuthorityMaterial,
  makeRoot,
} from "./certificate-authority.ts";

export const CA_FILES = {
  caCert: "ca-cert.pem",
  caKey: "ca-key.pem",
  rootCert: "root-cert.pem",
  certChain: "cert-chain.pem",
  rootKey: "root-key.pem",
} as const;

export interface LoadCaOptions {
  readonly dir: string;
  /** The organization in the subject of a root that is made here. */
  readonly trustDomain: string;
  /** Milliseconds since the epoch; default Date.now. */
  readonly now?: () => number;
}

/**
 * Loads the CA, or makes a root where the folder has none. Rejects with MeshError
 * CA_FILES_INCOMPLETE (some files of a set, but not all) or CA_FILE_INVALID (unreadable, no match
 * of key and certificate, no path to the root, not a CA, expired).
 */
export async function loadCertificateAuthority(
  options: LoadCaOptions,
): Promise<CertificateAuthority> {
  const { dir, trustDomain } = options;
  const now = options.now ?? Date.now;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const has = await presentFiles(dir);
  const pluggedIn = has.caCert || has.caKey || has.certChain;
  if (pluggedIn) requireAll(dir, has, ["caCert", "caKey", "rootCert", "certChain"]);
  else if (has.rootCert || has.rootKey) requireAll(dir, has, ["rootCert", "rootKey"]);
  else await createRoot(dir, trustDomain, now());
  const material = await (pluggedIn ? loadPluggedIn(dir, now()) : loadOwnRoot(dir, now()));
  return new CertificateAuthority(material, now);
}

/**
 * Loads the CA again. Unlike `loadCertificateAuthority` it never makes one: an empty folder is
 * CA_FILES_INCOMPLETE.
 */
export async function reloadCa(options: LoadCaOptions): Promise<CertificateAuthority> {
  const has = await presentFiles(options.dir);
  if (!has.caCert && !has.rootCert) requireAll(options.dir, has, ["rootCert", "rootKey"]);
  return loadCertificateAuthority(options);
}

type FileRole = keyof typeof CA_FILES;

async function presentFiles(dir: string): Promise<Record<FileRole, boolean>> {
  const exists = async (role: FileRole): Promise<boolean> => {
    try {
      await stat(join(dir, CA_FILES[role]));
      return true;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return false;
      throw invalid(join(dir, CA_FILES[role]), error);
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

async function loadOwnRoot(dir: string, now: number): Promise<CertificateAuthorityMaterial> {
  const rootPath = join(dir, CA_FILES.rootCert);
  const keyPath = join(dir, CA_FILES.rootKey);
  const roots = await readCertificates(rootPath);
  const privateKey = await readKey(keyPath);
  // While a root is being replaced the file holds both; the key says which of them signs.
  const certificate = roots.find((root) => root.checkPrivateKey(privateKey));
  if (certificate === undefined) throw invalid(keyPath, `it is not the key of ${rootPath}`);
  for (const root of roots) checkCa(rootPath, root);
  checkPath(rootPath, certificate, [], [certificate], now);
  return { issuer: { certificate, privateKey }, intermediates: [], roots };
}

async function loadPluggedIn(dir: string, now: number): Promise<CertificateAuthorityMaterial> {
  const certPath = join(dir, CA_FILES.caCert);
  const keyPath = join(dir, CA_FILES.caKey);
  const rootPath = join(dir, CA_FILES.rootCert);
  const [certificate, ...more] = await readCertificates(certPath);
  const privateKey = await readKey(keyPath);
  const roots = await readCertificates(rootPath);
  const chain = await readCertificates(join(dir, CA_FILES.certChain), { mayBeEmpty: true });
  if (certificate === undefined) throw invalid(certPath, "it holds no certificate");
  checkCa(certPath, certificate);
  for (const root of roots) checkCa(rootPath, root);
  checkKey(keyPath, privateKey, certPath, certificate);
  const intermediates = checkPath(certPath, certificate, [...more, ...chain], roots, now);
  return { issuer: { certificate, privateKey }, intermediates, roots };
}

async function readCertificates(
  path: string,
  { mayBeEmpty = false } = {},
): Promise<X509Certificate[]> {
  const text = await readText(path);
  if (mayBeEmpty && text.trim() === "") return [];
  try {
    return readPemCertificates(text);
  } catch (error) {
    throw invalid(path, error);
  }
}

async function readKey(path: string): Promise<KeyObject> {
  const text = await readText(path);
  try {
    const key = createPrivateKey(text);
    if (key.asymmetricKeyType === "ec" || key.asymmetricKeyType === "rsa") return key;
    throw invalid(path, `a key of type ${key.asymmetricKeyType} cannot sign here`);
  } catch (error) {
    throw invalid(path, error);
  }
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > CA_FILE_BYTES) throw invalid(path, `it is larger than ${CA_FILE_BYTES} bytes`);
    return await readFile(path, "utf8");
  } catch (error) {
    throw invalid(path, error);
  }
}

function checkCa(path: string, certificate: X509Certificate): void {
  if (!certificate.ca || !readExtensions(certificate.raw).isCa) {
    throw invalid(path, "it is not a CA's certificate (basicConstraints CA:TRUE)");
  }
}

function checkKey(keyPath: string, key: KeyObject, certPath: string, cert: X509Certificate): void {
  if (!cert.checkPrivateKey(key)) throw invalid(keyPath, `it is not the key of ${certPath}`);
}

/** The intermediates from `certificate` on; see CertificateAuthorityMaterial. */
function checkPath(
  path: string,
  certificate: X509Certificate,
  candidates: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  now: number,
): readonly X509Certificate[] {
  const verdict = findPath(certificate, candidates, roots, now);
  if (!verdict.ok) throw invalid(path, verdict.message);
  return verdict.path;
}

/** An error that names its file already is passed on as it is. */
function invalid(path: string, reason: unknown): MeshError {
  if (reason instanceof MeshError && reason.code === "CA_FILE_INVALID") return reason;
  const why = describeError(reason);
  return new MeshError("CA_FILE_INVALID", `${path} cannot be used: ${why}`, {
    hint: `look at it with: openssl x509 -noout -text -in ${path}`,
  });
}

function errnoOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
