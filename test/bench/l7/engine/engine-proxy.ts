/**
 * A plain reverse proxy on one engine: what nginx and haproxy are measured against.
 * `node engine-proxy.ts <engine> <upstream port> <port>`
 */
import type { EngineName, Forwarder } from "#waypoint/http/engine.ts";
import { llhttpForwarder } from "#waypoint/http/h1/h1-codec.ts";
import { httpProxyForwarder } from "#waypoint/http/node-http/http-proxy-forwarder.ts";
import { undiciForwarder } from "#waypoint/http/node-http/undici-forwarder.ts";
import { RelayProxy } from "#waypoint/http/relay-fixture.ts";

const ENGINES: Readonly<Record<EngineName, () => Forwarder>> = {
  llhttp: llhttpForwarder,
  "http-proxy": () => httpProxyForwarder(),
  undici: () => undiciForwarder(),
};

/** Listens until the process is ended. */
export async function runEngineProxy([
  engine = "",
  upstream,
  port,
]: readonly string[]): Promise<void> {
  const make = ENGINES[engine as EngineName];
  const proxy = new RelayProxy(make(), {}, false);
  await proxy.listen(Number(upstream), Number(port));
}
