/** What carries HTTP/1.1, by its name. Only the one that is used is loaded: libraries are large. */
import type { EngineName, Forwarder } from "./http/engine.ts";

export async function loadEngine(name: EngineName): Promise<Forwarder> {
  switch (name) {
    case "llhttp":
      return (await import("./http/h1/h1-codec.ts")).llhttpForwarder();
    case "http-proxy":
      return (await import("./http/node-http/http-proxy-forwarder.ts")).httpProxyForwarder();
    case "undici":
      return (await import("./http/node-http/undici-forwarder.ts")).undiciForwarder();
  }
}
