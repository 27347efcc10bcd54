/** A stock ztunnel fed by our CNI agent, and by a local file. */
import { describeInpod } from "#test/support/inpod-scenarios.ts";
import { stockZtunnelPath } from "./fabrics.ts";

describeInpod("a stock ztunnel", stockZtunnelPath());
