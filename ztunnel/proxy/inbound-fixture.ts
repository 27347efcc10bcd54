/**
 * For tests: the inbound side of one pod on loopback, with an application behind it that greets and
 * echoes. Needs root, for socket marks and spoofed source addresses.
 */
import { once } from "node:events";
import type { ClientHttp2Session } from "node:http2";
import net from "node:net";
import type { Authorization } from "#common/model/authorization.ts";
import type { IpAddress } from "#common/model/ip.ts";
import type { Workload } from "#common/model/workload.ts";
import { MeshError } from "#common/runtime/errors.ts";
import type { RevocationList } from "#common/tls/crl.ts";
import type { WorkloadCertificate } from "#common/tls/workload-certificate.ts";
import type { ConnectionFailure } from "#common/transport/failure.ts";
import { connectHbone, createTestCa, issueLeaf } from "#test/support/hbone-peer.ts";
import { createLinuxSyscalls } from "#ztunnel/sys/linux.ts";
import type { Syscalls } from "#ztunnel/sys/syscalls.ts";
import type { ConnectionMeta, ConnectionReporter } from "./connection-tracker.ts";
import { DataPlane, type DataPlaneOptions } from "./data-plane.ts";

/** Each process has its own, so that test files that run at once never share a port. */
export const POD_IP = `127.100.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}` as IpAddress;
/** The address that clients of `dial` call from. */
export const CLIENT_IP = "127.0.0.5";

const SERVER: Workload = {
  uid: "Kubernetes//Pod/shop/web-0",
  name: "web-0",
  namespace: "shop",
  addresses: [POD_IP],
  hostname: "",
  network: "",
  tunnelProtocol: "hbone",
  trustDomain: "cluster.local",
  serviceAccount: "web",
  node: "node1",
  canonicalName: "web",
  canonicalRevision: "latest",
  workloadType: "pod",
  workloadName: "web-0",
  nativeTunnel: false,
  services: new Map(),
  authorizationPolicies: [],
  status: "healthy",
  clusterId: "Kubernetes",
  locality: { region: "", zone: "", subzone: "" },
  networkMode: "standard",
  capacity: 1,
};

/** In place of those of limits.ts. */
type FixtureBounds = Pick<DataPlaneOptions, "capacity" | "stalled">;

export class InboundFixture {
  readonly ca = createTestCa();
  readonly client = issueLeaf(this.ca, { namespace: "shop", serviceAccount: "client" });
  readonly refusals: { readonly meta: ConnectionMeta; readonly why: ConnectionFailure }[] = [];
  /** Why connections ended; undefined for those that ended properly. */
  readonly closures: (ConnectionFailure | undefined)[] = [];
  readonly #syscalls = withoutOriginalDestinations(createLinuxSyscalls());
  readonly #dataPlane: DataPlane;
  #appConnections = 0;
  readonly #app = net.createServer((socket) => {
    this.#appConnections++;
    socket.on("error", () => undefined);
    socket.write(`hello ${socket.remoteAddress}\n`);
    socket.pipe(socket);
  });
  hbonePort = 0;
  /** Where redirected connections would come out; nothing redirects any here. */
  capturedPorts: readonly number[] = [];
  appPort = 0;

  private constructor(bounds: FixtureBounds) {
    const reporter: ConnectionReporter = {
      opened: () => undefined,
      progressed: () => undefined,
      closed: (_meta, _total, _delta, _duration, why) => void this.closures.push(why),
      refused: (meta, _duration, why) => this.refusals.push({ meta, why }),
      acceptFailed: () => undefined,
      hostLookedUp: () => undefined,
      limitReached: () => undefined,
      internalError: (error) => {
        throw error;
      },
    };
    this.#dataPlane = new DataPlane(
      {
        trustDomains: ["cluster.local"],
        network: "",
        keepSourceAddress: true,
        sameNodeFastPath: true,
        ...bounds,
      },
      {
        syscalls: this.#syscalls,
        reporter,
        askAddress: () => undefined,
        requestCertificate: () => undefined,
        random: Math.random,
      },
    );
  }

  static async start(bounds: FixtureBounds = {}): Promise<InboundFixture> {
    const fixture = new InboundFixture(bounds);
    fixture.put({});
    const server = { namespace: "shop", serviceAccount: "web" };
    fixture.#dataPlane.putCertificate(issueLeaf(fixture.ca, server));
    await fixture.#capture();
    fixture.#app.listen(0, POD_IP);
    await once(fixture.#app, "listening");
    fixture.appPort = (fixture.#app.address() as net.AddressInfo).port;
    return fixture;
  }

  async stop(): Promise<void> {
    await this.#dataPlane.drain(0);
    this.#app.close();
  }

  /** Replaces the pod's record, and all policies. */
  put(workload: Partial<Workload>, policies: readonly Authorization[] = []): void {
    this.#dataPlane.applyState({
      addresses: [{ kind: "workload", workload: { ...SERVER, ...workload } }],
      removedAddresses: [],
      policies,
      removedPolicies: ["shop/p", "shop/late"],
    });
  }

  /** Adds a policy. */
  addPolicy(policy: Authorization): void {
    this.#dataPlane.applyState({
      addresses: [],
      removedAddresses: [],
      policies: [policy],
      removedPolicies: [],
    });
  }

  /** Puts these revocation lists in force, in place of any before. */
  setRevocations(...lists: readonly RevocationList[]): void {
    this.#dataPlane.setRevocations(lists);
  }

  /** As when the process's memory is about to run out. */
  setMemoryIsShort(short: boolean): void {
    this.#dataPlane.setMemoryIsShort(short);
  }

  dial(certificate: WorkloadCertificate = this.client): Promise<ClientHttp2Session> {
    const { hbonePort: port } = this;
    return connectHbone({ host: POD_IP, port, certificate, localAddress: CLIENT_IP });
  }

  /** How many connections the application has had so far. */
  get appConnections(): number {
    return this.#appConnections;
  }

  get lastRefusal(): ConnectionFailure | undefined {
    return this.refusals.at(-1)?.why;
  }

  async #capture(): Promise<void> {
    const [outbound, inboundPlaintext, hbone] = await Promise.all([
      this.#listenFd(),
      this.#listenFd(),
      this.#listenFd(),
    ]);
    this.hbonePort = hbone.port;
    this.capturedPorts = [outbound.port, inboundPlaintext.port];
    const pod = {
      uid: "pod-uid",
      name: SERVER.name,
      namespace: SERVER.namespace,
      serviceAccount: SERVER.serviceAccount,
      ips: [POD_IP],
      workloadUid: SERVER.uid,
      bypassInboundCapture: false,
      dnsCapture: false,
    };
    await this.#dataPlane.addPod(pod, this.#syscalls.openNetns("/proc/self/ns/net"), {
      outbound: outbound.fd,
      inboundPlaintext: inboundPlaintext.fd,
      hbone: hbone.fd,
    });
  }

  async #listenFd(): Promise<{ fd: number; port: number }> {
    const probe = net.createServer().listen(0, POD_IP);
    await once(probe, "listening");
    const { port } = probe.address() as net.AddressInfo;
    probe.close();
    await once(probe, "close");
    const options = { ip: POD_IP, port, backlog: 128, reusePort: true, mark: 0 };
    return { fd: this.#syscalls.listenTcp(options), port };
  }
}

/** As where nothing is redirected: conntrack, where this machine's network has it, is not asked. */
function withoutOriginalDestinations(sys: Syscalls): Syscalls {
  return Object.assign(sys, {
    originalDestination: () => {
      throw new MeshError("ENOENT", "no connection was redirected");
    },
  });
}
