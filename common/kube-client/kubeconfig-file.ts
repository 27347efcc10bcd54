/**
 * Reads kubeconfig files as kubectl does: several are one, the first that names something counts,
 * and relative paths are relative to the file that has them.
 */

import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { parse } from "yaml";
import { CREDENTIAL_FILE_BYTES } from "#common/kube-client/limits.ts";
import { describeError, MeshError } from "#common/runtime/errors.ts";
import { isJsonObject, type JsonObject } from "#common/runtime/json-object.ts";

/** One cluster, user or context, and the folder of the file that it is from. */
export interface Entry {
  readonly name: string;
  readonly fields: JsonObject;
  readonly folder: string;
}

export interface Kubeconfig {
  /** For people. */
  readonly files: readonly string[];
  readonly currentContext: string | undefined;
  readonly clusters: ReadonlyMap<string, Entry>;
  readonly users: ReadonlyMap<string, Entry>;
  readonly contexts: ReadonlyMap<string, Entry>;
}

export interface KubeconfigPlace {
  /** One file; otherwise the environment's KUBECONFIG, otherwise ~/.kube/config. */
  readonly path?: string | undefined;
  /** @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Throws MeshError KUBECONFIG where there is none, or one cannot be read. */
export function readKubeconfig({ path, env = process.env }: KubeconfigPlace): Kubeconfig {
  const files = path === undefined ? kubeconfigFiles(env) : [path];
  const maps = { clusters: new Map(), users: new Map(), contexts: new Map() };
  let currentContext: string | undefined;
  for (const file of files) {
    const config = parseFile(file);
    const named = config["current-context"];
    if (typeof named === "string" && named !== "") currentContext ??= named;
    const folder = dirname(resolve(file));
    addEntries(maps.clusters, config.clusters, "cluster", file, folder);
    addEntries(maps.users, config.users, "user", file, folder);
    addEntries(maps.contexts, config.contexts, "context", file, folder);
  }
  return { files, currentContext, ...maps };
}

/** A text field; undefined where it is absent or empty. Throws where it is no text. */
export function textField({ fields, name }: Entry, key: string): string | undefined {
  const value = fields[key];
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value === "string") return value;
  throw configError(`${key} of ${JSON.stringify(name)} must be text`, "quote it");
}

export function configError(message: string, hint: string, cause?: unknown): MeshError {
  return new MeshError("KUBECONFIG", `kubeconfig: ${message}`, { hint, cause });
}

/**
 * As kubectl: those of KUBECONFIG that are there, else its first; or the one in the home folder.
 */
export function kubeconfigFiles(
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const named = (env.KUBECONFIG ?? "").split(delimiter).filter((file) => file !== "");
  if (named.length === 0) return [join(env.HOME ?? homedir(), ".kube", "config")];
  const present = named.filter((file) => existsSync(file));
  return present.length === 0 ? named.slice(0, 1) : present;
}

function parseFile(file: string): JsonObject {
  const hint = "name one with KUBECONFIG, or write ~/.kube/config";
  let value: unknown;
  try {
    if (statSync(file).size > CREDENTIAL_FILE_BYTES) throw new Error("it is too large");
    value = parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw configError(`${file} cannot be read: ${describeError(error).split("\n", 1)[0]}`, hint);
  }
  if (value === null || value === undefined) return {};
  if (!isJsonObject(value)) throw configError(`${file} is no kubeconfig`, hint);
  if (value.kind !== undefined && value.kind !== "Config") {
    throw configError(`${file} is of kind ${JSON.stringify(value.kind)}, not Config`, hint);
  }
  return value;
}

function addEntries(
  map: Map<string, Entry>,
  list: unknown,
  field: "cluster" | "user" | "context",
  file: string,
  folder: string,
): void {
  if (list === undefined || list === null) return;
  const wrong = (): MeshError =>
    configError(`${field}s of ${file} must be a list of name and ${field}`, "compare kubectl's");
  if (!Array.isArray(list)) throw wrong();
  for (const item of list as readonly unknown[]) {
    if (!isJsonObject(item) || typeof item.name !== "string") throw wrong();
    const fields = item[field] ?? {};
    if (!isJsonObject(fields)) throw wrong();
    if (!map.has(item.name)) map.set(item.name, { name: item.name, fields, folder });
  }
}
