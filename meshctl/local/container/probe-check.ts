/** One look at a container, as a kubelet takes it: HTTP and TCP from the node's own network. */
import { spawn } from "node:child_process";
import { request } from "node:http";
import type { Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";
import type { Container, Probe } from "#common/kubernetes/objects.ts";
import type { IpAddress } from "#common/model/ip.ts";
import { describeError } from "#common/runtime/errors.ts";
import { PROBE_RESPONSE_MAX_BYTES } from "#meshctl/local/limits.ts";
import { connectFrom } from "#meshctl/local/network/netns-socket.ts";
import type { Netns, Syscalls } from "#ztunnel/sys/syscalls.ts";

export type ProbeOutcome = { readonly ok: true } | { readonly ok: false; readonly message: string };

/** Where the probes of one container go. */
export interface ProbeTarget {
  readonly container: Container;
  readonly ip: IpAddress;
  /** The node's namespace: the pod sees the node's address, as it sees a kubelet's. */
  readonly netns: Netns;
  readonly sys: Syscalls;
  /** Runs a command inside the container. */
  readonly execArgv: (argv: readonly string[]) => readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const DEFAULT_TIMEOUT_SECONDS = 1;
const PASSED: ProbeOutcome = { ok: true };

/** Never throws: whatever goes wrong is the outcome. */
export async function checkProbe(probe: Probe, target: ProbeTarget): Promise<ProbeOutcome> {
  const timeoutMs = (probe.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS) * 1000;
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    if (probe.exec !== undefined) return await execProbe(probe.exec.command, target, signal);
    if (probe.httpGet !== undefined) return await httpProbe(probe.httpGet, target, signal);
    if (probe.tcpSocket !== undefined) {
      return await tcpProbe(portNumber(probe.tcpSocket.port, target.container), target, signal);
    }
    return PASSED;
  } catch (error) {
    const late = signal.aborted ? `no answer within ${timeoutMs / 1000} s` : describeError(error);
    return { ok: false, message: late };
  }
}

/** The number of a port given by number or by the name it has on this container. */
function portNumber(port: number | string, container: Container): number {
  if (typeof port === "number") return port;
  const named = container.ports?.find((candidate) => candidate.name === port)?.containerPort;
  return named ?? Number(port);
}

function execProbe(
  command: readonly string[],
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const [file = "", ...args] = target.execArgv(command);
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: target.env, stdio: "ignore", detached: true });
    // Its whole process group: nsenter alone would leave the command behind in the pod.
    const kill = () => void (child.pid && process.kill(-child.pid, "SIGKILL"));
    signal.addEventListener("abort", kill, { once: true });
    child.on("error", reject);
    child.on("exit", (code) => {
      signal.removeEventListener("abort", kill);
      if (signal.aborted) reject(new Error("timeout"));
      const message = `command \`${command.join(" ")}\` exited with status ${code}`;
      resolve(code === 0 ? PASSED : { ok: false, message });
    });
  });
}

function tcpProbe(port: number, target: ProbeTarget, signal: AbortSignal): Promise<ProbeOutcome> {
  const socket = connectFromNode(port, target);
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => socket.destroy(new Error("timeout")), { once: true });
    socket.on("error", reject);
    socket.on("connect", () => {
      socket.destroy();
      resolve(PASSED);
    });
  });
}

type HttpGet = NonNullable<Probe["httpGet"]>;

/**
 * 200 to 399 is success; redirects are not followed, certificates not verified (a kubelet's rules).
 */
function httpProbe(get: HttpGet, target: ProbeTarget, signal: AbortSignal): Promise<ProbeOutcome> {
  const port = portNumber(get.port, target.container);
  const host = target.ip.includes(":") ? `[${target.ip}]` : target.ip;
  const custom = Object.fromEntries((get.httpHeaders ?? []).map((h) => [h.name, h.value]));
  return new Promise((resolve, reject) => {
    const outgoing = request({
      method: "GET",
      path: get.path ?? "/",
      headers: {
        Host: `${host}:${port}`,
        "User-Agent": "kube-probe/1.34",
        Accept: "*/*",
        ...custom,
      },
      createConnection: () => {
        const socket = connectFromNode(port, target);
        if (get.scheme !== "HTTPS") return socket;
        return tlsConnect({ socket, rejectUnauthorized: false });
      },
      signal,
    });
    outgoing.on("error", reject);
    outgoing.on("response", (response) => {
      const { statusCode = 0 } = response;
      const ok = statusCode >= 200 && statusCode < 400;
      resolve(ok ? PASSED : { ok, message: `HTTP probe got status ${statusCode}` });
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > PROBE_RESPONSE_MAX_BYTES) response.destroy();
      });
      response.on("error", () => undefined); // The outcome is known already.
    });
    outgoing.end();
  });
}

/** A socket that belongs to the node's network, on its way to the pod. */
function connectFromNode(port: number, { ip, netns, sys }: ProbeTarget): Socket {
  return connectFrom(sys, netns, ip, port);
}
