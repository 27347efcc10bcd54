/**
 * What an installation was told, kept on its programs: the next one that is told less would undo
 * the rest without anybody having meant it, and is refused. Pure.
 */

import { MeshError } from "#common/runtime/errors.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";
import { isProgram, type Manifest } from "./manifest.ts";

/** On Deployments and DaemonSets of an installation by meshctl; JSON of `Told`. */
const ANNOTATION = "ambientmesh.dev/installed-with";

/** As on the command line; what was not said is absent. */
export interface Told {
  readonly profile?: string;
  readonly image?: string;
  readonly revision?: string;
  readonly kustomize?: string;
}

const KEYS = ["profile", "image", "revision", "kustomize"] as const;

/** What is in force where nothing is said. */
const DEFAULTS: Told = { profile: "base", revision: "default" };

/** The same manifest, with what was told where it is a program. */
export function remember(manifest: Manifest, told: Told): Manifest {
  const said = KEYS.filter((key) => told[key] !== undefined && told[key] !== DEFAULTS[key]);
  if (!isProgram(manifest) || said.length === 0) return manifest;
  const text = JSON.stringify(Object.fromEntries(said.map((key) => [key, told[key]])));
  const annotations = { ...manifest.metadata.annotations, [ANNOTATION]: text };
  return { ...manifest, metadata: { ...manifest.metadata, annotations } };
}

/** Throws a MeshError where something that `installed` was told is not said again. */
export function refuseForgotten(installed: readonly Manifest[], told: Told): void {
  const before = installed.map(toldOf).find((one) => one !== undefined) ?? {};
  const isAnew = {
    ...told,
    ...((told.profile ?? told.kustomize) && { profile: "", kustomize: "" }),
  };
  const forgotten = KEYS.filter((key) => before[key] !== undefined && isAnew[key] === undefined);
  if (forgotten.length === 0) return;
  const flags = forgotten.map((key) => flagOf(key, before[key] ?? "")).join(" ");
  throw new MeshError("NOT_REPEATED", `the mesh was installed with ${flags}`, {
    hint: `say it again: ${flags}; or another value, such as ${forgotten.map(plain).join(" ")}`,
  });
}

function toldOf({ metadata }: Manifest): Told | undefined {
  const text = metadata.annotations?.[ANNOTATION];
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    // Somebody edited it: then nobody knows.
    return undefined;
  }
}

function flagOf(key: keyof Told, value: string): string {
  return key === "kustomize" ? `--kustomize ${value}` : `--set ${key}=${value}`;
}

function plain(key: keyof Told): string {
  if (key === "image") return "--set image=REGISTRY/ambient-mesh:TAG";
  const other = key === "kustomize" ? "profile" : key;
  return `--set ${other}=${DEFAULTS[other]}`;
}
