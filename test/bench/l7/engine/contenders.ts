/** The reverse proxies of the bench: each one process, on a port of its own, to one upstream. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Contender {
  readonly name: string;
  readonly port: number;
  readonly command: readonly string[];
}

const HOST = "127.0.0.1";
/** The contenders have the ports after it. */
export const UPSTREAM_PORT = 18_400;

const NGINX_COMMON = `daemon off; pid NAME.pid; error_log stderr crit; worker_processes 1;
events { worker_connections 1024; }
`;

/** Answers every request with 1 KiB. */
export function upstreamServer(folder: string, port: number): Contender {
  const http = `access_log off; keepalive_requests 100000000;
  server { listen ${HOST}:${port}; location / { return 200 "${"x".repeat(1_024)}"; } }`;
  return nginx(folder, "upstream", { port, http });
}

export function nginxProxy(folder: string, port: number, upstream: number): Contender {
  const http = `access_log off; keepalive_requests 100000000;
  upstream api { server ${HOST}:${upstream}; keepalive 128; keepalive_requests 100000000; }
  server { listen ${HOST}:${port}; location / {
    proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; } }`;
  return nginx(folder, "nginx", { port, http });
}

function nginx(
  folder: string,
  name: string,
  { port, http }: { readonly port: number; readonly http: string },
): Contender {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.conf`);
  const common = NGINX_COMMON.replace("NAME", join(folder, name));
  writeFileSync(file, `${common}http { ${http} }\n`);
  return { name, port, command: ["nginx", "-p", folder, "-c", file] };
}

export function haproxyProxy(folder: string, port: number, upstream: number): Contender {
  const file = join(folder, "haproxy.cfg");
  writeFileSync(
    file,
    `global\n nbthread 1\n maxconn 2000\ndefaults\n mode http\n timeout connect 5s
 timeout client 30s\n timeout server 30s\n http-reuse always
frontend f\n bind ${HOST}:${port}\n default_backend b\nbackend b\n server s ${HOST}:${upstream}\n`,
  );
  return { name: "haproxy", port, command: ["haproxy", "-f", file] };
}

export function engineProxy(engine: string, port: number, upstream: number): Contender {
  const main = join(import.meta.dirname, "main.ts");
  const command = [process.execPath, main, "--serve", engine, String(upstream), String(port)];
  return { name: engine, port, command };
}

/** Those of these names; every name but nginx and haproxy is one of our engines. */
export function contendersOf(names: readonly string[], folder: string): readonly Contender[] {
  return names.map((name, i) => {
    const port = UPSTREAM_PORT + 1 + i;
    if (name === "nginx") return nginxProxy(folder, port, UPSTREAM_PORT);
    if (name === "haproxy") return haproxyProxy(folder, port, UPSTREAM_PORT);
    return engineProxy(name, port, UPSTREAM_PORT);
  });
}
