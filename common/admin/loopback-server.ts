/**
 * A server for this machine's own processes: on both loopback addresses, as Istio's ztunnel's admin
 * port is, and deaf to web pages. A page in a browser on this machine (or at the other end of a
 * port-forward) can send requests here, by a name of its own that resolves to loopback, too; what
 * gives it away is the Host or the Origin, which no page can forge.
 */
import { type Handler, type RunningServer, serveHttp } from "#common/runtime/http-server.ts";

const REFUSED = {
  status: 403,
  body: "this port answers to localhost, 127.0.0.1 and [::1] only, and to no web page\n",
};

/** Rejects if the port cannot be had; a kernel without IPv6 has one loopback address. */
export async function serveOnLoopback(port: number, handler: Handler): Promise<RunningServer> {
  const guarded: Handler = (query) =>
    isLocal(query.host) && isLocalOrigin(query.origin) ? handler(query) : REFUSED;
  const ipv4 = await serveHttp({ host: "127.0.0.1", port, reusePort: true }, guarded);
  try {
    const address = { host: "::1", port: ipv4.port, reusePort: true };
    const ipv6 = await serveHttp(address, guarded);
    return {
      port: ipv4.port,
      close: async () => void (await Promise.all([ipv4.close(), ipv6.close()])),
    };
  } catch (error) {
    if (isMissingFamily(error)) return ipv4;
    await ipv4.close();
    throw error;
  }
}

/** `host[:port]`, as in a URL; absent in HTTP/1.0. */
function isLocal(host: string | undefined): boolean {
  return host === undefined || /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host);
}

function isLocalOrigin(origin: string | undefined): boolean {
  if (origin === undefined) return true;
  const [, host] = /^https?:\/\/(.*)$/.exec(origin) ?? [];
  return host !== undefined && isLocal(host);
}

function isMissingFamily(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT";
}
