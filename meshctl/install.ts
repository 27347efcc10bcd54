/** `meshctl install` and `meshctl upgrade`: the manifests, applied to a Kubernetes cluster. */

import { type Command, InvalidArgumentError } from "commander";
import { KubeApiError, type KubeClient } from "#common/kube-client/kube-client.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { isJsonObject } from "#common/runtime/json-object.ts";
import { serverVersion } from "#meshctl/check/cluster-facts.ts";
import {
  connectKubernetes,
  type KubernetesOption,
  withKubernetesOptions,
} from "#meshctl/cluster-access/kubernetes-access.ts";
import { install } from "#meshctl/install/install.ts";
import {
  type InstallationSettings,
  renderInstallation,
  versionOf,
} from "#meshctl/install/installation.ts";
import { ROLLOUT_TIMEOUT_MS } from "#meshctl/install/limits.ts";
import { isProgram, type Manifest } from "#meshctl/install/manifest.ts";
import { findInstalled } from "#meshctl/install/ownership.ts";
import { refuseForgotten } from "#meshctl/install/told.ts";
import { refusedStep } from "#meshctl/install/version-step.ts";
import { parseDurationMs } from "./duration.ts";

interface ApplyOptions extends KubernetesOption {
  readonly set: Settings;
  readonly kustomize?: string;
  readonly dryRun: boolean;
  readonly forceConflicts: boolean;
  readonly force?: boolean;
  readonly wait: boolean;
  readonly timeout: number;
}

type Settings = Omit<InstallationSettings, "kustomize">;

export function addInstall(program: Command): void {
  withApplyOptions(program.command("install"))
    .description(
      "Install the mesh into a Kubernetes cluster: what kubectl apply -k does, and waits.",
    )
    .action((options: ApplyOptions) => apply(options));
}

export function addUpgrade(program: Command): void {
  withApplyOptions(program.command("upgrade"))
    .description("Bring an installed mesh to this version: the control plane, then node by node.")
    .option("--force", "also back, or past a version")
    .action(async (options: ApplyOptions) => {
      await checkStep(options);
      await apply(options);
    });
}

function withApplyOptions(command: Command): Command {
  return withKubernetesOptions(command)
    .option("--set <key=value>", "profile, image or revision; several times", parseSetting, {})
    .option("-k, --kustomize <folder>", "a kustomization of your own, in place of a profile")
    .option("--dry-run", "print the difference and change nothing", false)
    .option("--force-conflicts", "take over fields that others own", false)
    .option("--no-wait", "return before what was started is ready")
    .option(
      "--timeout <duration>",
      "how long one rollout may take",
      parseDurationMs,
      ROLLOUT_TIMEOUT_MS,
    );
}

async function apply({ set, kustomize, wait, timeout, ...options }: ApplyOptions): Promise<void> {
  const settings = { ...set, ...(kustomize !== undefined && { kustomize }) };
  const manifests = await renderInstallation(settings);
  const { client, title } = connectKubernetes(options);
  try {
    say(`${options.dryRun ? "would change" : "changing"} ${title}`);
    await refuseOldServer(client);
    refuseForgotten(await whatIsThere(client), settings);
    await install(client, manifests, { ...options, wait, timeoutMs: timeout }, say);
  } finally {
    client.close();
  }
}

/** Throws a MeshError for a server that cannot take the manifests. */
async function refuseOldServer(client: KubeClient): Promise<void> {
  const version = await client.request({ method: "GET", path: "/version" });
  const { status, details } = serverVersion(isJsonObject(version) ? version : {});
  if (status !== "failed") return;
  throw new MeshError("OLD_SERVER", details.join("; "), {
    hint: "upgrade the cluster; meshctl check --pre says what else is missing",
  });
}

/** What may not be seen is refused, object by object, with all else that may not be done. */
async function whatIsThere(client: KubeClient): Promise<readonly Manifest[]> {
  return findInstalled(client).catch((error: unknown) => {
    if (error instanceof KubeApiError && error.status === 403) return [];
    throw error;
  });
}

/** Throws a MeshError where nothing is installed, and for a step that is not safe. */
async function checkStep({ set, kustomize, force, ...options }: ApplyOptions): Promise<void> {
  const { client } = connectKubernetes(options);
  const installed = await findInstalled(client).finally(() => client.close());
  if (!installed.some(isProgram)) {
    throw new MeshError("NOT_INSTALLED", "no mesh is installed in this cluster", {
      hint: "meshctl install; --context CONTEXT, if another cluster is meant",
    });
  }
  const wanted = await renderInstallation({
    ...set,
    ...(kustomize !== undefined && { kustomize }),
  });
  const [from, to] = [versionOf(installed), versionOf(wanted)];
  const refused = refusedStep(from, to);
  if (refused !== undefined && force !== true) {
    throw new MeshError("UNSAFE_STEP", `the upgrade ${refused}`, {
      hint: "take the versions in between with their own meshctl; --force does it all the same",
    });
  }
  say(`installed: ${from ?? "unknown"}; this is ${to ?? "unknown"}`);
}

const KEYS: readonly string[] = ["profile", "image", "revision"];

function parseSetting(text: string, before: Settings): Settings {
  const [, key = "", value = ""] = /^([a-z]+)=(.+)$/.exec(text) ?? [];
  if (KEYS.includes(key)) return { ...before, [key]: value };
  throw new InvalidArgumentError(`give KEY=VALUE, where KEY is one of ${KEYS.join(", ")}.`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
