/** What is to be installed: the rendered manifests of a profile, with what a user set. */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "#common/runtime/errors.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";
import { mapImages, renderKustomization } from "./kustomization.ts";
import { isProgram, type Manifest } from "./manifest.ts";
import { mergePatch } from "./merge-patch.ts";
import { remember } from "./told.ts";

const MANIFESTS = join(import.meta.dirname, "..", "..", "manifests");
/** The only image of an installation, by the last part of its name. */
const IMAGE_NAME = "ambient-mesh";
const CONTROL_PLANE = "istiod";
const VERSION_LABEL = "app.kubernetes.io/version";

export interface InstallationSettings {
  /** `base`, which is the default, or a folder of manifests/overlays. */
  readonly profile?: string;
  /** A folder with a kustomization of the user's own, in place of a profile. */
  readonly kustomize?: string;
  /** In place of the image that the manifests name. */
  readonly image?: string;
  /** Which Gateways istiod-lite handles: those with this label istio.io/rev. */
  readonly revision?: string;
}

/** Throws a MeshError for a profile that is not there, and for what cannot be rendered. */
export async function renderInstallation(
  settings: InstallationSettings,
): Promise<readonly Manifest[]> {
  const { profile = "base", kustomize, image, revision } = settings;
  // Kinds come first, and only where the cluster has none: see apply-manifests.ts.
  const kinds = await renderKustomization(join(MANIFESTS, "crds"));
  const manifests = await renderKustomization(kustomize ?? profileFolder(profile));
  // For clusters with the Gateway API; left out of others by served-kinds.ts.
  const waypoints = await renderKustomization(join(MANIFESTS, "waypoint-class"));
  return [...kinds, ...waypoints, ...manifests]
    .map((one) => (image === undefined ? one : withImage(one, image)))
    .map((one) => (revision === undefined ? one : withRevision(one, revision)))
    .map((one) => remember(one, settings));
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

/** istiod-lite's Lease and webhook, of which each revision has its own. */
const OF_A_REVISION: readonly unknown[] = ["istiod-lite-leader", "istio-validator-istio-system"];

/** Of Gateways, who handles them; of a control plane's pods, who it is. */
const REVISION_LABEL = "istio.io/rev";

/** The revision of a control plane that was not given one. */
const DEFAULT_REVISION = "default";

function withRevision(manifest: Manifest, revision: string): Manifest {
  if (revision === DEFAULT_REVISION) return manifest;
  const ofRevision = (name: unknown): unknown =>
    OF_A_REVISION.includes(name) ? `${name}-${revision}` : name;
  const { metadata, rules } = manifest;
  if (Array.isArray(rules)) {
    const named = rules.filter(isJsonObject).map(({ resourceNames, ...rule }) => ({
      ...rule,
      ...(Array.isArray(resourceNames) && { resourceNames: resourceNames.map(ofRevision) }),
    }));
    return { ...manifest, rules: named };
  }
  if (manifest.kind === "ValidatingWebhookConfiguration") {
    return { ...manifest, metadata: { ...metadata, name: String(ofRevision(metadata.name)) } };
  }
  return isControlPlane(manifest) ? revisionedControlPlane(manifest, revision) : manifest;
}

function revisionedControlPlane(manifest: Manifest, revision: string): Manifest {
  const containers = containersOf(manifest).map((container) => {
    const args = Array.isArray(container.args) ? container.args : [];
    return { ...container, args: [...args, "--revision", revision] };
  });
  const metadata = { labels: { [REVISION_LABEL]: revision } };
  return mergePatch(manifest, {
    spec: { template: { metadata, spec: { containers } } },
  }) as Manifest;
}

/** The version that istiod-lite says it is, or what there is; undefined where nothing says one. */
export function versionOf(manifests: readonly Manifest[]): string | undefined {
  const program = manifests.find(isControlPlane) ?? manifests.find(isProgram);
  if (program === undefined) return undefined;
  const [image = ""] = containersOf(program).map((container) => String(container.image));
  const [, tag] = /:([^:/@]+)(?:@.*)?$/.exec(image) ?? [];
  return program.metadata.labels?.[VERSION_LABEL] ?? tag;
}

export function isControlPlane({ kind, metadata }: Manifest): boolean {
  return kind === "Deployment" && metadata.name === CONTROL_PLANE;
}

function containersOf({ spec }: Manifest) {
  const template = isJsonObject(spec) && isJsonObject(spec.template) ? spec.template : {};
  const { containers } = isJsonObject(template.spec) ? template.spec : {};
  return Array.isArray(containers) ? containers.filter(isJsonObject) : [];
}
