/** All fuzz targets, in the order in which they run. */
import type { FuzzTarget } from "../fuzz-target.ts";
import {
  certificate,
  certificateChain,
  pem,
  revocationList,
  signingRequest,
  spiffeId,
} from "./certificates.ts";
import { environment, localXds, policies, yaml } from "./configuration.ts";
import { dnsFrames, dnsMessage, resolvConf } from "./dns.ts";
import { authority, baggage, forwarded, traceparent } from "./headers.ts";
import { hpack } from "./hpack.ts";
import { requestTarget, routeRegex, traceContext } from "./http.ts";
import { http1Client, http1Server } from "./http1.ts";
import { http2Client, http2Server } from "./http2.ts";
import { address, authorization, capturedPod, discovery, zds } from "./wire.ts";

export const TARGETS: readonly FuzzTarget[] = [
  authority,
  baggage,
  forwarded,
  traceparent,
  requestTarget,
  routeRegex,
  traceContext,
  http1Server,
  http1Client,
  http2Server,
  http2Client,
  hpack,
  spiffeId,
  certificate,
  certificateChain,
  signingRequest,
  revocationList,
  pem,
  address,
  authorization,
  capturedPod,
  zds,
  discovery,
  dnsMessage,
  dnsFrames,
  resolvConf,
  yaml,
  policies,
  localXds,
  environment,
];
