import { smugglingSuite } from "#test/codec-suite/smuggling.ts";
import { llhttpForwarder } from "./h1-codec.ts";

smugglingSuite("llhttp", llhttpForwarder);
