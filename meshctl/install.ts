/** `meshctl install` and `meshctl upgrade`: the manifests, applied to a Kubernetes cluster. */
import { type Command, InvalidArgumentError } from "commander";
import { MeshError } from "#common/runtime/errors.ts";
import { parseDurationMs } from "#meshctl/duration.ts";
import { install } from "#meshctl/install/install.ts";
import {
  type InstallationSettings,
  isControlPlane,
  renderInstallation,
  versionOf,
} from "#meshctl/install/installation.ts";
import { ROLLOUT_TIMEOUT_MS } from "#meshctl/install/limits.ts";
import { findInstalled } from "#meshctl/install/ownership.ts";
import { refusedStep } from "#meshctl/install/version-step.ts";
import {
  connectKubernetes,
  type KubernetesOption,
  withKubernetesOptions,
} from "#meshctl/kubernetes-access.ts";

interface ApplyOptions extends KubernetesOption {
  readonly set: Settings;
  readonly kustomize?: string;
  readonly dryRun: boolean;
  readonly forceConflicts: boolean;
  readonly force?: boolean;
  readonly wait: boolean;
  readonly timeout: number;
}

type Settings = Omit<InstallationSettings, "folder">;

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
    .option("--set <key=value>", "profile, image or revision; several times", parseSetting, {
      profile: "base",
    })
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
  const folder = kustomize === undefined ? {} : { folder: kustomize };
  const manifests = await renderInstallation({ ...set, ...folder });
  const { client, title } = connectKubernetes(options);
  try {
    say(`${options.dryRun ? "would change" : "changing"} ${title}`);
    await install(client, manifests, { ...options, wait, timeoutMs: timeout }, say);
  } finally {
    client.close();
  }
}

/** Throws a MeshError where nothing is installed, and for a step that is not safe. */
async function checkStep({ set, kustomize, force, ...options }: ApplyOptions): Promise<void> {
  const { client } = connectKubernetes(options);
  const installed = await findInstalled(client).finally(() => client.close());
  if (!installed.some(isControlPlane)) {
    throw new MeshError("NOT_INSTALLED", "no mesh is installed in this cluster", {
      hint: "meshctl install",
    });
  }
  const folder = kustomize === undefined ? {} : { folder: kustomize };
  const [from, to] = [
    versionOf(installed),
    versionOf(await renderInstallation({ ...set, ...folder })),
  ];
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
