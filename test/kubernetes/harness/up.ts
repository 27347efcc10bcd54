/**
 * A cluster to look at: stays until Ctrl-C.
 *
 * usage: node test/kubernetes/harness/up.ts [0|1|2] [IMAGE.tar ...]
 */
import { once } from "node:events";
import { startKubernetes } from "./cluster.ts";
import { sayOnStderr, timed } from "./tools/say.ts";
import { prepareTools } from "./tools/toolbox.ts";

const [count = "0", ...images] = process.argv.slice(2);
const nodes = ([0, 1, 2] as const).find((each) => String(each) === count);
if (nodes === undefined) throw new Error("usage: up.ts [0|1|2] [IMAGE.tar ...]");

const { program } = await prepareTools();
const start = () => startKubernetes({ nodes, images });
await using cluster = await timed(sayOnStderr, `a cluster with ${nodes} nodes`, start);
const enter = cluster.nodes.map(
  ({ name, namespaces }) => `nsenter -a -t ${namespaces.pid} # ${name}\n`,
);
process.stdout.write(`export KUBECONFIG=${cluster.kubeconfig}
alias kubectl=${program("kubectl")}
logs in ${cluster.logFolder}
${enter.join("")}
Ctrl-C ends it.
`);
// Something has to keep this process from ending.
const alive = setInterval(() => undefined, 2 ** 30);
await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
clearInterval(alive);
