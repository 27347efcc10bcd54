import { codecSuite } from "#test/codec-suite/codec-suite.ts";
import { smugglingSuite } from "#test/codec-suite/smuggling.ts";
import { undiciForwarder } from "./undici-forwarder.ts";

codecSuite("undici", undiciForwarder, {
  lacks: [
    "pipelined-close",
    "upgrade",
    "request-trailers",
    "expect",
    "options-asterisk",
    "early-head",
    "reuse-after-bodyless",
  ],
});
smugglingSuite("undici", undiciForwarder, { strict: false });
