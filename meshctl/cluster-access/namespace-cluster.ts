/** A cluster of `meshctl up`: by its control socket, its files and the folder that it follows. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import type { Gateway, Namespace, Pod } from "#common/kubernetes/objects.ts";
import { MeshError } from "#common/runtime/errors.ts";
import { connectAdmin } from "#meshctl/local/control/admin-request.ts";
import type { ContainerAccess, NodeInfo, PodAccess } from "#meshctl/local/control/api.ts";
import { ControlClient } from "#meshctl/local/control/client.ts";
import { ztunnelName } from "#meshctl/local/mesh/node-programs.ts";
import { previousLog } from "#meshctl/local/paths.ts";
import { enterPod } from "#meshctl/local/pod/enter.ts";
import { isWaypoint, REVISION, WAYPOINT_FOR } from "#meshctl/waypoint-gateway.ts";
import { type AdminRequest, exchangeAdmin } from "./admin-exchange.ts";
import { ClusterFolder } from "./cluster-folder.ts";
import type { LogRequest, MeshCluster, Ztunnel } from "./mesh-cluster.ts";
import { follow, printFile } from "./print-log.ts";

export class NamespaceCluster implements MeshCluster {
  readonly defaultNamespace = "default";
  readonly #client: ControlClient;

  constructor(initPid: number) {
    this.#client = new ControlClient(initPid);
  }

  async objects(kind: string, namespace?: string) {
    return (await this.#client.objects(kind, namespace)).items;
  }

  events(namespace?: string) {
    return this.#client.objectEvents(namespace);
  }

  async problems() {
    return (await this.#client.info()).problems;
  }

  async ztunnels(): Promise<readonly Ztunnel[]> {
    const { mesh, nodes, name } = await this.#client.info();
    if (mesh && nodes.length > 0) {
      return nodes.map((node) => ({ name: ztunnelName(node.name), node: node.name }));
    }
    throw new MeshError("NO_ZTUNNEL", `no ztunnel runs in cluster ${name}`, {
      hint: "meshctl down, then meshctl up FOLDER",
    });
  }

  async askZtunnel({ name, node }: Ztunnel, asked: AdminRequest): Promise<string> {
    const socket = connectAdmin(this.#client, await this.#node(node), asked.port);
    return exchangeAdmin(socket, asked, { name, hint: `meshctl logs ${name} -n istio-system` });
  }

  async restartZtunnels(nodes: readonly string[], say: (line: string) => void): Promise<void> {
    const all = (await this.#client.info()).nodes.map(({ name }) => name);
    for (const node of nodes) await this.#node(node);
    for (const node of nodes.length > 0 ? nodes : all) {
      await this.#client.meshProcess(ztunnelName(node), { action: "replace" });
      say(`ztunnel on ${node} replaced; the old one drains`);
    }
  }

  async exec(pod: Pod, name: string | undefined, command: readonly string[]): Promise<number> {
    const access = await this.#access(pod);
    const container = containerOf(access, name);
    if (access.sandboxPid === undefined) {
      throw new MeshError("NOT_RUNNING", `pod ${access.name} is not running`, {
        hint: `meshctl get pods -n ${access.namespace} says why`,
      });
    }
    const target = { proc: `/proc/${this.#client.initPid}/root/proc`, pid: access.sandboxPid };
    const [file = "", ...args] = enterPod(target, command, container.workingDir);
    const { TERM = "dumb" } = process.env;
    // Ctrl-C is for the command; its end is then the end of this.
    process.on("SIGINT", () => undefined);
    const child = spawn(file, args, { stdio: "inherit", env: { TERM, ...container.env } });
    return await new Promise<number>((resolve, reject) => {
      child.on("error", reject);
      // A shell's convention for a command that was ended by a signal.
      child.on("exit", (code, signal) =>
        resolve(code ?? 128 + constants.signals[signal ?? "SIGKILL"]),
      );
    });
  }

  async printLog(pod: Pod, request: LogRequest): Promise<void> {
    const access = await this.#access(pod);
    const container = containerOf(access, request.container);
    const current = this.#client.outside(container.log);
    const path = request.previous ? previousLog(current) : current;
    if (!existsSync(path)) {
      const which = request.previous ? "no earlier run" : "written nothing yet";
      throw new MeshError("NO_LOG", `container ${container.name} of ${access.name} has ${which}`, {
        hint: `meshctl get pods -n ${access.namespace}`,
      });
    }
    await printFile(path, request.tail);
    if (request.follow) await follow(path);
  }

  async deletePod({ metadata }: Pod, graceSeconds: number | undefined): Promise<void> {
    await this.#client.deletePod(metadata.namespace ?? "", metadata.name, graceSeconds);
  }

  /** A Gateway that is there keeps what else it says. */
  async putWaypoint(gateway: Gateway): Promise<void> {
    const folder = await ClusterFolder.of(this.#client);
    const { name, namespace = "", labels = {} } = gateway.metadata;
    const place = await folder.find("Gateway", namespace, name);
    if (place === undefined) {
      await folder.write(`waypoint-${namespace}-${name}.yaml`, gateway);
    } else if (isWaypoint(place.object)) {
      await folder.edit(place, (document) => {
        for (const key of [WAYPOINT_FOR, REVISION]) {
          if (labels[key] !== undefined) document.setIn(["metadata", "labels", key], labels[key]);
        }
      });
    } else {
      throw new MeshError("NAME_TAKEN", `Gateway ${namespace}/${name} is no waypoint`, {
        hint: `choose another --name; it is in ${place.file}:${place.line}`,
      });
    }
    await folder.taken();
  }

  async deleteWaypoint(namespace: string, name: string): Promise<boolean> {
    const folder = await ClusterFolder.of(this.#client);
    const place = await folder.find("Gateway", namespace, name);
    if (place === undefined || !isWaypoint(place.object)) return false;
    await folder.remove(place);
    await folder.taken();
    return true;
  }

  /** As the folder says them. */
  async namespaceLabels(name: string) {
    const folder = await ClusterFolder.of(this.#client);
    const found = await folder.find("Namespace", "", name);
    return found === undefined ? undefined : (found.object.metadata.labels ?? {});
  }

  async labelNamespace(name: string, label: string, value: string): Promise<void> {
    const folder = await ClusterFolder.of(this.#client);
    const found = await folder.find("Namespace", "", name);
    if (found === undefined) {
      const labels = { [label]: value };
      const made: Namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
      await folder.write(`namespace-${name}.yaml`, made);
    } else {
      await folder.edit(found, (document) => document.setIn(["metadata", "labels", label], value));
    }
    await folder.taken();
  }

  close(): void {
    // Every call has had a connection of its own.
  }

  async #node(name: string): Promise<NodeInfo> {
    const { nodes } = await this.#client.info();
    const found = nodes.find((node) => node.name === name);
    if (found !== undefined) return found;
    throw new MeshError("NO_SUCH_NODE", `the cluster has no node ${name}`, {
      hint: `its nodes are ${nodes.map((node) => node.name).join(", ")}`,
    });
  }

  #access({ metadata }: Pod): Promise<PodAccess> {
    return this.#client.pod(metadata.namespace ?? "", metadata.name);
  }
}

/** The named container, or the first. */
function containerOf(pod: PodAccess, name: string | undefined): ContainerAccess {
  const container =
    name === undefined ? pod.containers[0] : pod.containers.find((c) => c.name === name);
  if (container !== undefined) return container;
  const names = pod.containers.map((candidate) => candidate.name).join(", ");
  throw new MeshError("NO_SUCH_CONTAINER", `pod ${pod.name} has no container ${name ?? ""}`, {
    hint: `its containers are ${names}`,
  });
}
