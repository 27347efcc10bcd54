/** The calls of a soak: requests by service and by pod, standing connections, names. */
import type net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestCluster } from "#test/support/cluster.ts";
import { DnsSockets } from "#test/support/dns-client.ts";
import { type Call, PodSockets, readBytes, type Target } from "#test/support/pod-sockets.ts";
import { makeQuery, records } from "#ztunnel/dns/dns-fixtures.ts";
import { Load, type Outcome } from "./load.ts";
import {
  ANSWER,
  CLIENTS,
  ECHO_PORT,
  GUEST,
  PORT,
  SERVERS,
  SERVICE,
  SERVICE_NAME,
  STRANGER,
} from "./plan.ts";

/** What the guest's calls are to come to; "either" while a change of policy is on its way. */
export type GuestIs = "allowed" | "denied" | "either";

const POLL_MS = 5;
const STANDING = "standing";

/** Of all requests together. */
const SHARE = { client: 0.35, stranger: 0.1, guest: 0.1, standing: 0.05, names: 0.05 } as const;

export class SoakTraffic implements AsyncDisposable {
  readonly sockets: PodSockets;
  readonly loads: readonly Load[];
  readonly #dns: DnsSockets;
  readonly #standing: StandingConnections;
  guestIs: GuestIs = "allowed";

  private constructor(
    sockets: PodSockets,
    dns: DnsSockets,
    standing: StandingConnections,
    make: (own: () => GuestIs) => Load[],
  ) {
    this.sockets = sockets;
    this.#dns = dns;
    this.#standing = standing;
    this.loads = make(() => this.guestIs);
  }

  /** Starts the servers, then the calls: `perSecond` of all sorts together. */
  static async start(cluster: TestCluster, perSecond: number): Promise<SoakTraffic> {
    const sockets = new PodSockets(cluster);
    for (const server of SERVERS) await serve(sockets, server);
    const vip = (await cluster.find("Service", SERVICE))?.spec.clusterIP ?? "";
    const target = { ip: vip, port: 80 };
    const callers = await Promise.all(
      [...CLIENTS, STRANGER, GUEST].map(async (pod) => await sockets.caller(pod)),
    );
    const [first, second, stranger, guest] = callers.map((call) => () => call(target, "?"));
    const standing = await StandingConnections.open(cluster, sockets);
    const dns = new DnsSockets(cluster);
    const names = await nameQueries(cluster, dns, vip);
    if (!first || !second || !stranger || !guest) throw new Error("no callers");
    return new SoakTraffic(sockets, dns, standing, (guestIs) => [
      new Load(CLIENTS[0], perSecond * SHARE.client, async () => answered(await first())),
      new Load(CLIENTS[1], perSecond * SHARE.client, async () => answered(await second())),
      new Load("stranger", perSecond * SHARE.stranger, async () => refused(await stranger())),
      new Load("guest", perSecond * SHARE.guest, () => asGuest(guest, guestIs)),
      new Load(STANDING, perSecond * SHARE.standing, () => standing.useNext()),
      new Load("names", perSecond * SHARE.names, names),
    ]);
  }

  /** Resolves when every call that is under way now has ended. */
  async quiesce(): Promise<void> {
    await Promise.all(this.loads.map((load) => load.quiesce()));
  }

  /** Uses every standing connection once more, and has others take their places. */
  async renewStanding(): Promise<void> {
    const load = this.loads.find(({ name }) => name === STANDING);
    for (const outcome of await this.#standing.renew()) load?.record(outcome);
  }

  async stop(): Promise<void> {
    await Promise.all(this.loads.map((load) => load.stop()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.sockets[Symbol.dispose]();
    this.#dns[Symbol.dispose]();
  }
}

/** A server that answers its own name, and one that answers every byte with the same byte. */
export async function serve(sockets: PodSockets, name: string): Promise<readonly net.Server[]> {
  const answer = (socket: net.Socket) => void socket.resume().end(name);
  return [
    await sockets.serve(name, PORT, answer),
    await sockets.serve(name, ECHO_PORT, (socket) => void socket.pipe(socket)),
  ];
}

function answered({ how, received }: Call): Outcome {
  const text = String(received);
  if (how === "end" && ANSWER.test(text)) return { ok: true, what: "" };
  return { ok: false, what: `${how} after ${JSON.stringify(text)}` };
}

function refused({ how, received }: Call): Outcome {
  const ok = received.length === 0 && ["end", "reset", "ECONNREFUSED"].includes(how);
  return { ok, what: `not refused: ${how} after ${JSON.stringify(String(received))}` };
}

/** A call that begins before a change of policy, or ends after it, may come to either. */
async function asGuest(call: () => Promise<Call>, guestIs: () => GuestIs): Promise<Outcome> {
  const before = guestIs();
  const result = await call();
  if (before === "either" || guestIs() !== before) return "excused";
  return before === "allowed" ? answered(result) : refused(result);
}

/** As resolvers do, a query without an answer is sent again. */
async function nameQueries(
  cluster: TestCluster,
  dns: DnsSockets,
  vip: string,
): Promise<() => Promise<Outcome>> {
  const server = (await cluster.find("Service", "kube-system/kube-dns"))?.spec.clusterIP ?? "";
  return async () => {
    const query = makeQuery({ name: SERVICE_NAME, id: 0 });
    const [answer] = await dns.askMany(CLIENTS[0], server, [query]);
    const found = answer === undefined ? "nothing" : records(answer).join();
    return { ok: found === `${SERVICE_NAME} A ${vip}`, what: `answered ${found}` };
  };
}

/** Connections that stay, from each client to each server; they are used in turns. */
class StandingConnections {
  readonly #dialAll: () => Promise<readonly net.Socket[]>;
  #sockets: readonly net.Socket[];
  #next = 0;

  private constructor(
    dialAll: () => Promise<readonly net.Socket[]>,
    sockets: readonly net.Socket[],
  ) {
    this.#dialAll = dialAll;
    this.#sockets = sockets;
  }

  static async open(cluster: TestCluster, sockets: PodSockets): Promise<StandingConnections> {
    const targets: Target[] = [];
    for (const server of SERVERS) {
      targets.push({ ip: await cluster.podIp(server), port: ECHO_PORT });
    }
    const pairs = targets.flatMap((target) => CLIENTS.map((client) => [client, target] as const));
    const dialAll = () =>
      Promise.all(pairs.map(([client, target]) => sockets.dial(client, target)));
    return new StandingConnections(dialAll, await dialAll());
  }

  /** One exchange over the next connection; left out while one is under way on it. */
  async useNext(): Promise<Outcome> {
    const socket = this.#sockets[this.#next++ % this.#sockets.length];
    return socket === undefined || isUsed(socket) ? "excused" : exchange(socket);
  }

  /** Resolves with what the last exchange of each connection that stood came to. */
  async renew(): Promise<readonly Outcome[]> {
    const old = this.#sockets;
    this.#sockets = await this.#dialAll();
    const outcomes: Outcome[] = [];
    for (const socket of old) {
      while (isUsed(socket)) await sleep(POLL_MS);
      outcomes.push(await exchange(socket));
      socket.destroy();
    }
    return outcomes;
  }
}

function isUsed(socket: net.Socket): boolean {
  return socket.listenerCount("data") > 0;
}

async function exchange(socket: net.Socket): Promise<Outcome> {
  if (socket.destroyed) return { ok: false, what: "a standing connection has ended" };
  const { localPort, remoteAddress } = socket;
  const which = `the connection from port ${localPort} to ${remoteAddress}`;
  socket.write("?");
  const echo = await readBytes(socket, 1).then(String, (error: Error) => error.message);
  return { ok: echo === "?", what: `${which}: ${echo}` };
}
