/** Speaks to the admin port of a node's ztunnel, from outside, by way of the node's network. */
import { type RequestOptions, request } from "node:http";
import type { IpAddress } from "#common/model/ip.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { ADMIN_TIMEOUT_MS, DUMP_MAX_BYTES } from "#meshctl/limits.ts";
import type { NodeInfo } from "#meshctl/local/control-api.ts";
import type { ControlClient } from "#meshctl/local/control-client.ts";
import { connectFrom } from "#meshctl/local/netns-socket.ts";
import { ztunnelName } from "#meshctl/local/node-programs.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";

const LOOPBACK = "127.0.0.1" as IpAddress;

export interface AdminRequest {
  readonly method: "GET" | "POST";
  /** With its query. */
  readonly path: string;
  readonly port: number;
}

/** The body of an answer with status 200. Throws a MeshError for any other, and for none. */
export async function requestAdmin(
  client: ControlClient,
  node: NodeInfo,
  asked: AdminRequest,
): Promise<string> {
  const sys = createLinuxSyscalls();
  const netns = sys.openNetns(client.outside(`/proc/${node.pid}/ns/net`));
  try {
    const socket = connectFrom(sys, netns, LOOPBACK, asked.port);
    const { method, path } = asked;
    return await exchange({ method, path, createConnection: () => socket });
  } catch (cause) {
    if (cause instanceof MeshError) throw cause;
    const name = ztunnelName(node.name);
    throw new MeshError("ZTUNNEL_SILENT", `${name} does not answer on its port ${asked.port}`, {
      cause,
      hint: `meshctl logs ${name} -n istio-system`,
    });
  } finally {
    sys.closeNetns(netns);
  }
}

function exchange(options: RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...options, timeout: ADMIN_TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > DUMP_MAX_BYTES) outgoing.destroy(new Error("its answer has no end"));
      });
      response.on("error", reject);
      response.on("end", () => {
        const body = Buffer.concat(chunks).toString();
        if (response.statusCode === 200) resolve(body);
        else reject(refused(options.path ?? "", response.statusCode, body));
      });
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("it said nothing for too long")));
    outgoing.on("error", reject);
    outgoing.end();
  });
}

function refused(path: string, status: number | undefined, body: string): MeshError {
  const why = body.trim().split("\n")[0] ?? "";
  return new MeshError("ZTUNNEL_REFUSED", `ztunnel answered ${path} with ${status}: ${why}`);
}
