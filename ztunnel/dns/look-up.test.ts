import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ProxyState } from "#common/mesh-state/proxy-state.ts";
import { pod, ports, service, update } from "#common/mesh-state/test-records.ts";
import type { Service } from "#common/model/service.ts";
import type { Workload } from "#common/model/workload.ts";
import { lookUp } from "./look-up.ts";

const DOMAIN = "svc.cluster.local";
const OPTIONS = { clusterDomain: ["cluster", "local"], ipv6: true, knowsAllEndpoints: true };

interface Asking {
  readonly namespace?: string;
  readonly family?: "ipv4" | "ipv6";
  readonly options?: Partial<typeof OPTIONS>;
}

class Mesh {
  readonly #state = new ProxyState({ network: "" });

  constructor(services: readonly Service[], workloads: readonly Workload[] = []) {
    this.#state.apply(update({ services, workloads }));
  }

  /** The addresses with the number of labels left, if any; "forward" for what is not known. */
  ask(name: string, { namespace = "shop", family = "ipv4", options = {} }: Asking = {}): string {
    const searchDomains = [`${namespace}.${DOMAIN}`, DOMAIN, "cluster.local"];
    const client = {
      namespace,
      network: "",
      searchDomains: searchDomains.map((domain) => domain.split(".")),
    };
    const question = { labels: name.split("."), family };
    const found = lookUp(this.#state, question, client, { ...OPTIONS, ...options });
    if (found === undefined) return "forward";
    const stripped = found.strippedLabels === undefined ? "" : ` /${found.strippedLabels}`;
    return `${found.addresses.join(" ") || "nothing"}${stripped}`;
  }
}

const web = service(`web.shop.${DOMAIN}`, ["10.96.0.1", "fd96::1"]);

describe("the name of a service", () => {
  const mesh = new Mesh([web]);
  for (const [name, expected] of [
    [`web.shop.${DOMAIN}`, "10.96.0.1"],
    ["web", "10.96.0.1"],
    ["web.shop", "10.96.0.1"],
    ["web.shop.svc", "10.96.0.1"],
    // What a resolver with a search list asks before it gets to the right one.
    [`web.shop.shop.${DOMAIN}`, "10.96.0.1 /2"],
    [`web.shop.svc.shop.${DOMAIN}`, "10.96.0.1 /3"],
    ["web.shop.cluster.local", "10.96.0.1 /2"],
    [`web.other.${DOMAIN}`, "forward"],
    [`db.web.shop.${DOMAIN}`, "forward"],
    [`_http._tcp.web.shop.${DOMAIN}`, "forward"],
    ["example.com", "forward"],
    ["cluster.local", "forward"],
  ] as const) {
    test(`${name} is ${expected}`, () => assert.equal(mesh.ask(name), expected));
  }

  test("in short means the client's own namespace", () => {
    const both = new Mesh([web, service(`web.other.${DOMAIN}`, ["10.96.0.2"])]);
    assert.equal(both.ask("web", { namespace: "shop" }), "10.96.0.1");
    assert.equal(both.ask("web", { namespace: "other" }), "10.96.0.2");
    assert.equal(both.ask("web", { namespace: "third" }), "forward");
  });

  test("has the addresses of the family that is asked for, or none of it", () => {
    assert.equal(mesh.ask("web", { family: "ipv6" }), "fd96::1");
    const ipv4 = new Mesh([service(`web.shop.${DOMAIN}`, ["10.96.0.1"])]);
    assert.equal(ipv4.ask("web", { family: "ipv6" }), "nothing");
    assert.equal(mesh.ask("web", { family: "ipv6", options: { ipv6: false } }), "nothing");
  });

  test("is known whatever the case in which it was declared", () => {
    assert.equal(
      new Mesh([service("API.Example.com", ["10.9.0.1"])]).ask("api.example.com"),
      "10.9.0.1",
    );
  });

  test("gives nothing out that is in another network", () => {
    const [address] = web.addresses;
    assert.ok(address !== undefined);
    const far = { ...web, addresses: [{ ...address, network: "far" }] };
    assert.equal(new Mesh([far]).ask("web"), "nothing");
  });
});

describe("a pod's own name", () => {
  const hijacker = service(`db-0.db.${DOMAIN}`, ["10.96.0.66"], { namespace: "db" });
  const headless = service(`db.shop.${DOMAIN}`, []);

  test("below a headless service is never taken for a short name of something else", () => {
    const mesh = new Mesh([hijacker, headless]);
    assert.equal(mesh.ask(`db-0.db.shop.${DOMAIN}`), "forward");
  });

  test("below no service at all is a short name", () => {
    assert.equal(new Mesh([hijacker]).ask(`db-0.db.shop.${DOMAIN}`), "10.96.0.66 /2");
  });
});

describe("a headless service", () => {
  const key = `shop/db.shop.${DOMAIN}`;
  const behind = { services: new Map([[key, ports([5432, 0])]]) };
  const headless = service(`db.shop.${DOMAIN}`, []);
  const pods = [
    pod("a", ["10.0.0.1", "fd00::1"], behind),
    pod("b", ["10.0.0.2"], behind),
    pod("sick", ["10.0.0.3"], { ...behind, status: "unhealthy" }),
    pod("far", ["10.0.0.4"], { ...behind, network: "far" }),
  ];

  test("has the addresses of its healthy endpoints in reach", () => {
    const mesh = new Mesh([headless], pods);
    assert.equal(mesh.ask("db"), "10.0.0.1 10.0.0.2");
    assert.equal(mesh.ask("db", { family: "ipv6" }), "fd00::1");
  });

  test("that publishes unready addresses has those too", () => {
    const loadBalancing = {
      mode: "unspecified",
      healthPolicy: "allow-all",
      routingPreference: [],
    } as const;
    const mesh = new Mesh([{ ...headless, loadBalancing }], pods);
    assert.equal(mesh.ask("db"), "10.0.0.1 10.0.0.2 10.0.0.3");
  });

  test("of one family has no addresses of the other, though its pods have", () => {
    const mesh = new Mesh([{ ...headless, ipFamilies: "ipv4-only" }], pods);
    assert.equal(mesh.ask("db", { family: "ipv6" }), "nothing");
  });

  test("without endpoints, or whose endpoints may not all be known, is asked for elsewhere", () => {
    assert.equal(new Mesh([headless]).ask("db"), "forward");
    assert.equal(
      new Mesh([headless], pods).ask("db", { options: { knowsAllEndpoints: false } }),
      "forward",
    );
  });

  test("outside of the cluster's domain is not one", () => {
    const external = service("db.example.com", []);
    const endpoint = pod("a", ["10.0.0.1"], {
      services: new Map([["shop/db.example.com", ports([1, 1])]]),
    });
    assert.equal(new Mesh([external], [endpoint]).ask("db.example.com"), "forward");
  });
});

describe("a declared host", () => {
  const api = service("api.example.com", ["240.240.0.1"], { namespace: "egress" });

  test("is known by its name, with a search domain behind it too", () => {
    const mesh = new Mesh([api]);
    assert.equal(mesh.ask("api.example.com"), "240.240.0.1");
    assert.equal(mesh.ask(`api.example.com.shop.${DOMAIN}`), "240.240.0.1 /3");
    assert.equal(mesh.ask("www.api.example.com"), "forward");
  });

  test("with a block of addresses or none has none to give", () => {
    assert.equal(new Mesh([{ ...api, addresses: [] }]).ask("api.example.com"), "forward");
    const block = service("api.example.com", ["10.1.0.0/16"]);
    assert.equal(new Mesh([block]).ask("api.example.com"), "forward");
  });

  test("without an address does not hide one of the same name that has some", () => {
    const own = { ...api, namespace: "shop", addresses: [] };
    assert.equal(new Mesh([own, api]).ask("api.example.com"), "240.240.0.1");
  });

  test("that is private to a namespace is unknown in others", () => {
    const mesh = new Mesh([{ ...api, visibility: "namespace" }]);
    assert.equal(mesh.ask("api.example.com"), "forward");
    assert.equal(mesh.ask("api.example.com", { namespace: "egress" }), "240.240.0.1");
  });

  test("of several with one name is the client's own, then the canonical one", () => {
    const own = service("api.example.com", ["240.240.0.2"], { namespace: "shop" });
    const canonical = service("api.example.com", ["240.240.0.3"], {
      namespace: "z",
      canonical: true,
    });
    const mesh = new Mesh([api, own, canonical]);
    assert.equal(mesh.ask("api.example.com"), "240.240.0.2");
    assert.equal(mesh.ask("api.example.com", { namespace: "third" }), "240.240.0.3");
  });
});

describe("a wildcard", () => {
  const mesh = new Mesh([
    service("*.example.com", ["240.240.0.1"]),
    service("*.eu.example.com", ["240.240.0.2"]),
    service("www.example.com", ["240.240.0.3"]),
  ]);
  for (const [name, expected] of [
    ["www.example.com", "240.240.0.3"],
    ["api.example.com", "240.240.0.1"],
    ["a.b.example.com", "240.240.0.1"],
    ["api.eu.example.com", "240.240.0.2"],
    ["example.com", "forward"],
    ["badexample.com", "forward"],
    // The records stand under the name that was asked for.
    [`api.example.com.shop.${DOMAIN}`, "240.240.0.1"],
  ] as const) {
    test(`answers ${name} with ${expected}`, () => assert.equal(mesh.ask(name), expected));
  }
});
