import { codecSuite } from "#test/codec-suite/codec-suite.ts";
import { llhttpForwarder } from "./h1-codec.ts";

codecSuite("llhttp", llhttpForwarder);
