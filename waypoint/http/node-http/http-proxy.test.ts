import { codecSuite } from "#test/codec-suite/codec-suite.ts";
import { smugglingSuite } from "#test/codec-suite/smuggling.ts";
import { httpProxyForwarder } from "./http-proxy-forwarder.ts";

codecSuite("http-proxy", httpProxyForwarder, {
  lacks: ["upgrade", "request-trailers", "pipelined-close"],
});
smugglingSuite("http-proxy", httpProxyForwarder, { strict: false });
