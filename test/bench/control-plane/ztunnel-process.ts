/** What a real ztunnel takes of the machine once it knows the whole mesh. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MeshError } from "#common/runtime/errors.ts";
import { rssMb } from "../l4/process-usage.ts";
import type { Say } from "./bench.ts";
import type { IstiodProcess } from "./istiod-process.ts";
import { MEASURED_NODE, ztunnelName } from "./mesh-objects.ts";

export interface ZtunnelResult {
  /** From the start of the process until it is ready. */
  readonly readySeconds: number;
  readonly rssMb: number;
}

const PROGRAM = join(import.meta.dirname, "../../../ztunnel/main.ts");
const READY_TIMEOUT_MS = 120_000;
/** What is garbage of the first sync has been collected by then, or will stay. */
const SETTLE_MS = 3_000;

export async function measureZtunnel(istiod: IstiodProcess, say: Say): Promise<ZtunnelResult> {
  say("a ztunnel");
  const [admin, stats, readiness] = await Promise.all([freePort(), freePort(), freePort()]);
  const url = `https://127.0.0.1:${istiod.xdsPort}`;
  const startedAt = performance.now();
  const child = spawn(process.execPath, [PROGRAM, "proxy", "ztunnel"], {
    stdio: ["ignore", "ignore", "inherit"],
    env: {
      ...process.env,
      NODE_NAME: MEASURED_NODE,
      POD_NAME: ztunnelName(MEASURED_NODE),
      POD_NAMESPACE: "istio-system",
      INSTANCE_IP: "192.168.0.1",
      XDS_ADDRESS: url,
      CA_ADDRESS: url,
      ALT_XDS_HOSTNAME: "istiod.istio-system.svc",
      ALT_CA_HOSTNAME: "istiod.istio-system.svc",
      XDS_ROOT_CA: istiod.rootCertFile,
      CA_ROOT_CA: istiod.rootCertFile,
      AUTH_TOKEN: await istiod.tokenFile(MEASURED_NODE),
      POD_SANDBOXES_DIR: join(istiod.dir, "sandboxes"),
      ADMIN_PORT: String(admin),
      STATS_PORT: String(stats),
      READINESS_PORT: String(readiness),
    },
  });
  try {
    await whenReady(child, readiness);
    const readySeconds = (performance.now() - startedAt) / 1000;
    await sleep(SETTLE_MS);
    return { readySeconds, rssMb: rssMb(`/proc/${child.pid}`) };
  } finally {
    child.kill("SIGKILL");
    if (child.exitCode === null) await once(child, "exit");
  }
}

async function whenReady(child: ChildProcess, port: number): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadline && child.exitCode === null) {
    const answer = await fetch(`http://127.0.0.1:${port}/healthz/ready`).catch(() => undefined);
    await answer?.text();
    if (answer?.status === 200) return;
    await sleep(20);
  }
  throw new MeshError("BENCH_FAILED", "the ztunnel did not become ready");
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
