/**
 * The node's CNI configuration as text: which file container runtimes take, and our plugin as the
 * last of its chain. Source: the CNI specification 1.1, and libcni and containerd's go-cni for the
 * choice of the file: the first, by name, that can be read.
 */
import { MeshError } from "#common/runtime/errors.ts";

export const PLUGIN_NAME = "ambient-mesh";
/** Appended to the name of a plain configuration that a list of ours has replaced. */
export const SAVED_SUFFIX = ".ambient-mesh-saved";

export interface ConfFile {
  readonly name: string;
  readonly text: string;
}

type Json = Record<string, unknown>;

/** What the runtimes take; undefined where the node has no network yet. */
export function activeConfFile(files: readonly ConfFile[]): ConfFile | undefined {
  return [...files]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .find((file) => /\.(conf|conflist|json)$/.test(file.name) && pluginsOf(file) !== undefined);
}

/** Whether our plugin is the last of the file's chain. */
export function isChained(file: ConfFile): boolean {
  return pluginsOf(file)?.at(-1)?.type === PLUGIN_NAME && file.name.endsWith(".conflist");
}

/**
 * The file with our plugin last. A plain configuration becomes a list of another name. Throws
 * MeshError CNI_VERSION_OLD where plugins cannot be chained: before 0.3.1 they pass no result on.
 */
export function chained(file: ConfFile): ConfFile {
  const plugins = (pluginsOf(file) ?? []).filter(({ type }) => type !== PLUGIN_NAME);
  const json = parse(file.text) ?? {};
  const { cniVersion } = json;
  if (typeof cniVersion !== "string" || /^0\.([0-2]\.|3\.0)/.test(cniVersion)) {
    throw new MeshError(
      "CNI_VERSION_OLD",
      `${file.name} has cniVersion ${JSON.stringify(cniVersion ?? "")}: nothing can be chained`,
      { hint: 'set "cniVersion" to "0.3.1" or later, as the CNI that wrote the file allows' },
    );
  }
  const all = [...plugins, { type: PLUGIN_NAME }];
  if (file.name.endsWith(".conflist")) {
    return { name: file.name, text: print({ ...json, plugins: all }) };
  }
  const base = file.name.replace(/\.(conf|json)$/, "");
  const name = typeof json.name === "string" ? json.name : base;
  return { name: `${base}.conflist`, text: print({ cniVersion, name, plugins: all }) };
}

/** The text without our plugin; undefined where it is not in it. */
export function unchained(file: ConfFile): string | undefined {
  const json = parse(file.text);
  const plugins = pluginsOf(file);
  if (json === undefined || !plugins?.some(({ type }) => type === PLUGIN_NAME)) return undefined;
  return print({ ...json, plugins: plugins.filter(({ type }) => type !== PLUGIN_NAME) });
}

/** Undefined for what runtimes pass over. */
function pluginsOf({ name, text }: ConfFile): readonly Json[] | undefined {
  const json = parse(text);
  if (json === undefined) return undefined;
  if (!name.endsWith(".conflist")) return typeof json.type === "string" ? [plain(json)] : undefined;
  const { plugins } = json;
  if (!Array.isArray(plugins) || plugins.length === 0) return undefined;
  return plugins.filter((plugin): plugin is Json => typeof plugin === "object" && plugin !== null);
}

/** In a list, version and name are the list's. */
function plain({ cniVersion: _version, name: _name, ...plugin }: Json): Json {
  return plugin;
}

function parse(text: string): Json | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null ? { ...json } : undefined;
  } catch {
    return undefined;
  }
}

function print(json: Json): string {
  return `${JSON.stringify(json, undefined, 2)}\n`;
}
