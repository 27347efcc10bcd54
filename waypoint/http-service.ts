/** HTTP on clients' connections: the codec of what they speak, and the handler of requests. */
import type { CodecLimits, HttpCodec } from "./http/engine.ts";
import type { ServeHttp } from "./listener/connect-handler.ts";
import type { RequestHandler } from "./proxy/request-handler.ts";

export interface HttpServiceDeps {
  readonly codecs: { readonly http1: HttpCodec; readonly http2: HttpCodec };
  readonly limits: CodecLimits;
  readonly handle: RequestHandler;
}

export function createHttpService({ codecs, limits, handle }: HttpServiceDeps): ServeHttp {
  return ({ wire, version, downstream, onClosed }) =>
    codecs[version].serve(wire, limits, {
      onExchange: (exchange) => handle(downstream(), exchange),
      onClosed: () => onClosed(),
    });
}
