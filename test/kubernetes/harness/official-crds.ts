/**
 * The CRDs of Istio and of the Gateway API, as their projects publish them: they come with their Go
 * modules, which Go downloads, checks against its checksum database and keeps.
 */
import { globSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { MeshError } from "#common/runtime/errors.ts";
import { runCommand } from "./tools/command.ts";
import { findGo } from "./tools/go-toolchain.ts";
import { sayOnStderr } from "./tools/say.ts";
import { toolsFolder } from "./tools/toolbox.ts";

interface Module {
  readonly path: string;
  readonly version: string;
  /** As in go.sum. */
  readonly hash: string;
  /** The files with CRDs, below the module. */
  readonly files: string;
}

const ISTIO: Module = {
  path: "istio.io/api",
  version: "v1.31.1",
  hash: "h1:5Yb5ihcz4YQsCkciusK7DnFpBMwRB6EFWeUKH1Atuyk=",
  files: "kubernetes/customresourcedefinitions.gen.yaml",
};

const GATEWAY_API: Module = {
  path: "sigs.k8s.io/gateway-api",
  version: "v1.6.0",
  hash: "h1:735YBRj5NXFrOGX0GoSjwzUIzbz8kiEOfADsqHFmHgE=",
  files: "config/crd/standard/gateway.networking.k8s.io_*.yaml",
};

/** The parts of a CRD that tests look at. */
export interface OfficialCrd {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string; readonly plural: string };
    readonly versions: readonly { readonly name: string; readonly storage: boolean }[];
  };
}

export function istioCrds(): Promise<OfficialCrd[]> {
  return crdsOf(ISTIO);
}

/** The standard channel, without what refuses other versions of itself. */
export function gatewayApiCrds(): Promise<OfficialCrd[]> {
  return crdsOf(GATEWAY_API);
}

async function crdsOf({ path, version, hash, files }: Module): Promise<OfficialCrd[]> {
  const folder = toolsFolder();
  await mkdir(folder, { recursive: true });
  const go = await findGo(folder, sayOnStderr);
  const argv = [go.command, "mod", "download", "-json", `${path}@${version}`];
  const env = { ...go.env, GO111MODULE: "on" };
  const answer = await runCommand(argv, { cwd: folder, env, hint: "is the Go proxy reachable?" });
  const { Dir: dir, Sum: sum } = JSON.parse(answer) as { Dir: string; Sum: string };
  if (sum !== hash) {
    throw new MeshError("KUBERNETES_TOOLS", `${path}@${version} has the hash ${sum}, not ${hash}`);
  }
  const texts = globSync(files, { cwd: dir }).map((file) => readFileSync(join(dir, file), "utf8"));
  const objects = texts.flatMap((text) =>
    parseAllDocuments(text).map((document) => document.toJS()),
  );
  return objects.filter((object) => object?.kind === "CustomResourceDefinition");
}
