/** What is to be installed: the rendered manifests of a profile, with what a user set. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "#common/runtime/errors.ts";
import { mapImages, renderKustomization } from "./kustomization.ts";
import { isObject, type Manifest } from "./manifest.ts";
import { mergePatch } from "./merge-patch.ts";

const MANIFESTS = join(import.meta.dirname, "..", "..", "manifests");
/** The only image of an installation, by the last part of its name. */
const IMAGE_NAME = "ambient-mesh";
const CONTROL_PLANE = "istiod";
const VERSION_LABEL = "app.kubernetes.io/version";

export interface InstallationSettings {
  /** `base`, or a folder of manifests/overlays. */
  readonly profile: string;
  /** A kustomization of the user's own, in place of a profile. */
  readonly folder?: string;
  /** In place of the image that the manifests name. */
  readonly image?: string;
  /** Which Gateways istiod-lite handles: those with this label istio.io/rev. */
  readonly revision?: string;
}

/** Throws a MeshError for a profile that is not there, and for what cannot be rendered. */
export async function renderInstallation(
  settings: InstallationSettings,
): Promise<readonly Manifest[]> {
  const { profile, folder = profileFolder(profile), image, revision } = settings;
  // Kinds come first, and only where the cluster has none: see apply-manifests.ts.
  const kinds = await renderKustomization(join(MANIFESTS, "crds"));
  const manifests = await renderKustomization(folder);
  // For clusters with the Gateway API; left out of others by served-kinds.ts.
  const waypoints = await renderKustomization(join(MANIFESTS, "waypoint-class"));
  return [...kinds, ...waypoints, ...manifests]
    .map((one) => (image === undefined ? one : withImage(one, image)))
    .map((one) => (revision === undefined ? one : withRevision(one, revision)));
}

export function profileFolder(profile: string, manifests = MANIFESTS): string {
  const overlays = join(manifests, "overlays");
  const names = existsSync(overlays) ? readdirSync(overlays).sort() : [];
  if (profile === "base") return join(manifests, "base");
  if (names.includes(profile)) return join(overlays, profile);
  throw new MeshError("NO_SUCH_PROFILE", `there is no profile ${profile}`, {
    hint: `profiles: ${["base", ...names].join(", ")}; --kustomize FOLDER takes your own`,
  });
}

function withImage(manifest: Manifest, image: string): Manifest {
  return mapImages(manifest, (old) => (imageName(old) === IMAGE_NAME ? image : old));
}

function imageName(image: string): string {
  const last = image.split("/").at(-1) ?? "";
  return last.replace(/[:@].*$/, "");
}

function withRevision(manifest: Manifest, revision: string): Manifest {
  if (!isControlPlane(manifest)) return manifest;
  const containers = containersOf(manifest).map((container) => {
    const args = Array.isArray(container.args) ? container.args : [];
    return { ...container, args: [...args, "--revision", revision] };
  });
  return mergePatch(manifest, { spec: { template: { spec: { containers } } } }) as Manifest;
}

/** The version that an object of istiod-lite says it is; undefined where it says none. */
export function versionOf(manifests: readonly Manifest[]): string | undefined {
  const deployment = manifests.find(isControlPlane);
  if (deployment === undefined) return undefined;
  const [image = ""] = containersOf(deployment).map((container) => String(container.image));
  const [, tag] = /:([^:/@]+)(?:@.*)?$/.exec(image) ?? [];
  return deployment.metadata.labels?.[VERSION_LABEL] ?? tag;
}

export function isControlPlane({ kind, metadata }: Manifest): boolean {
  return kind === "Deployment" && metadata.name === CONTROL_PLANE;
}

function containersOf({ spec }: Manifest) {
  const template = isObject(spec) && isObject(spec.template) ? spec.template : {};
  const { containers } = isObject(template.spec) ? template.spec : {};
  return Array.isArray(containers) ? containers.filter(isObject) : [];
}
