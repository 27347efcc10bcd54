/** One request to a program's admin port, over a connection that is already there. */
import { type RequestOptions, request } from "node:http";
import type { Duplex } from "node:stream";
import { MeshError } from "#common/runtime/errors.ts";
import { ADMIN_TIMEOUT_MS, DUMP_MAX_BYTES } from "#meshctl/limits.ts";

export interface AdminRequest {
  readonly method: "GET" | "POST";
  /** With its query. */
  readonly path: string;
  readonly port: number;
}

/**
 * The body of an answer with status 200. Throws a MeshError for any other, and where none comes;
 * `program` is what errors call the one that is asked.
 */
export async function exchangeAdmin(
  socket: Duplex,
  { method, path, port }: AdminRequest,
  program: { readonly name: string; readonly hint: string },
): Promise<string> {
  try {
    return await exchange({ method, path, createConnection: () => socket });
  } catch (cause) {
    if (cause instanceof MeshError && cause.code === "ADMIN_REFUSED") throw cause;
    const message = `${program.name} does not answer on its port ${port}`;
    throw new MeshError("ZTUNNEL_SILENT", message, { cause, hint: program.hint });
  } finally {
    socket.destroy();
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
    const silence = setTimeout(() => {
      outgoing.destroy(new Error("it said nothing for too long"));
    }, ADMIN_TIMEOUT_MS);
    outgoing.on("timeout", () => outgoing.destroy(new Error("it said nothing for too long")));
    outgoing.on("response", () => clearTimeout(silence));
    outgoing.on("close", () => clearTimeout(silence));
    outgoing.on("error", reject);
    outgoing.end();
  });
}

function refused(path: string, status: number | undefined, body: string): MeshError {
  const why = body.trim().split("\n")[0] ?? "";
  return new MeshError("ADMIN_REFUSED", `ztunnel answered ${path} with ${status}: ${why}`);
}
