/** For the Dockerfile: starts every program of this image once, which fills its compile cache. */
import { bakeCompileCache } from "./compile-cache.ts";

bakeCompileCache("/");
