/** `meshctl logs`: what a container wrote. */
import { existsSync } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";
import { MeshError } from "#common/runtime/errors.ts";
import { type ClusterOption, connect, withClusterOption } from "#meshctl/connect.ts";
import { previousLog } from "#meshctl/local/paths.ts";
import { DEFAULT_NAMESPACE, resolveContainer, resolvePod } from "#meshctl/resolve-pod.ts";

interface LogsOptions extends ClusterOption {
  readonly namespace: string;
  readonly container?: string;
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly tail?: number;
}

const FOLLOW_POLL_MS = 200;
const CHUNK_BYTES = 64 * 1024;

export function addLogs(program: Command): void {
  withClusterOption(program.command("logs"))
    .description("Print what a container wrote; ztunnel-NODE and istiod are in -n istio-system.")
    .argument("<pod>", "a pod's name, or deploy/NAME for one of its pods")
    .option("-n, --namespace <namespace>", "the pod's namespace", DEFAULT_NAMESPACE)
    .option("-c, --container <container>", "the container (the first)")
    .option("-f, --follow", "go on with what is written from now on")
    .option("-p, --previous", "of the run before the last restart")
    .option("--tail <lines>", "only the last lines", parseLines)
    .action(logs);
}

async function logs(reference: string, options: LogsOptions): Promise<void> {
  const client = await connect(options);
  const pod = await resolvePod(client, reference, options.namespace);
  const container = resolveContainer(pod, options.container);
  const current = client.outside(container.log);
  const path = options.previous === true ? previousLog(current) : current;
  if (!existsSync(path)) {
    const which = options.previous === true ? "no earlier run" : "written nothing yet";
    throw new MeshError("NO_LOG", `container ${container.name} of ${pod.name} has ${which}`, {
      hint: `meshctl get pods -n ${options.namespace}`,
    });
  }
  await printFile(path, options.tail);
  if (options.follow === true) await follow(path);
}

async function printFile(path: string, tail: number | undefined): Promise<void> {
  const file = await open(path);
  const text = await file.readFile("utf8");
  await file.close();
  const lines = text.split("\n");
  process.stdout.write(tail === undefined ? text : lines.slice(-tail - 1).join("\n"));
}

/** Until the cluster is gone. A restart begins a new file, a long log is cut: both start over. */
async function follow(path: string): Promise<void> {
  let file = await open(path);
  let { ino, size: position } = await file.stat();
  while (existsSync(path)) {
    position = await printFrom(file, position);
    await sleep(FOLLOW_POLL_MS);
    const now = await stat(path).catch(() => undefined);
    if (now === undefined) continue;
    if (now.ino !== ino) {
      await printFrom(file, position);
      await file.close();
      file = await open(path);
      ino = now.ino;
      position = 0;
    } else if (now.size < position) position = now.size;
  }
  await file.close();
}

async function printFrom(file: FileHandle, start: number): Promise<number> {
  const buffer = Buffer.alloc(CHUNK_BYTES);
  let position = start;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return position;
    process.stdout.write(Uint8Array.prototype.slice.call(buffer, 0, bytesRead));
    position += bytesRead;
  }
}

function parseLines(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("give a number of lines, such as 100.");
}
