/** A shop of a few services behind a waypoint, for the tests of this folder. */
import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import type { KubernetesObject } from "#common/kubernetes/objects.ts";
import { validateObject } from "#common/kubernetes/validate/validate-object.ts";
import type { BackendConfig } from "#common/model/waypoint/backend.ts";
import type { HttpRule } from "#common/model/waypoint/http-route.ts";
import type { PortConfig } from "#common/model/waypoint/resource.ts";
import { Registry } from "../registry.ts";
import {
  absent,
  makeNamespace,
  makePod,
  makeService,
  makeServiceEntry,
  present,
} from "../registry-fixtures.ts";
import { DEFAULT_REGISTRY_OPTIONS } from "../registry-options.ts";
import { makeGateway, toldTo, waypointBackend } from "../waypoints/waypoint-fixtures.ts";

const uses = { "istio.io/use-waypoint": "waypoint" };

/** In namespace shop, with port 9080 for HTTP and port 9090 for TCP, unless said otherwise. */
export function shopService(name: string, ports?: readonly [string, number][]): KubernetesObject {
  const given = ports ?? [
    ["http", 9080],
    ["tcp-db", 9090],
  ];
  return makeService(
    name,
    {
      clusterIP: `10.96.0.${name.length}`,
      selector: { app: name },
      ports: given.map(([portName, port]) => ({ name: portName, port })),
    },
    { labels: uses },
  );
}

export function shopPod(name: string, labels: Record<string, string>): KubernetesObject {
  const [app = "", version = ""] = name.split("-");
  return makePod({ name, labels: { app, version, ...labels }, ips: [`10.0.1.${name.length}`] });
}

export const SHOP: readonly KubernetesObject[] = [
  makeNamespace("shop", uses),
  makeGateway(),
  ...waypointBackend(),
  shopService("reviews"),
  shopService("ratings"),
  shopService("secure", [["tls", 443]]),
  shopService("anything", [["9000", 9000]]),
  shopPod("reviews-v1", {}),
  shopPod("reviews-v2", {}),
  makeServiceEntry(
    "partner",
    {
      hosts: ["api.partner.example", "*.wild.example"],
      addresses: ["192.0.2.7"],
      ports: [{ number: 80, name: "http", protocol: "HTTP" }],
      resolution: "STATIC",
      endpoints: [{ address: "198.51.100.9" }],
    },
    { labels: uses },
  ),
];

/** Objects as people write them: validated, and nothing to say about them. */
export function parsed(yaml: string): readonly KubernetesObject[] {
  return parseAllDocuments(yaml).map((document) => {
    const { object, issues } = validateObject(document.toJS());
    assert.deepEqual(issues, []);
    assert.ok(object);
    return object;
  });
}

export class Shop {
  readonly registry = new Registry(DEFAULT_REGISTRY_OPTIONS);
  /** `<kind>/<namespace>/<name>`: reason and message of the condition said last. */
  readonly said = new Map<string, { status: string; reason: string; message: string }>();

  constructor(...yaml: readonly string[]) {
    this.set(...SHOP);
    for (const text of yaml) this.set(...parsed(text));
  }

  set(...objects: readonly KubernetesObject[]): void {
    this.#apply(present(...objects));
  }

  delete(...objects: readonly KubernetesObject[]): void {
    this.#apply(absent(...objects));
  }

  /** What the waypoint is told of a port of a service of the shop. */
  port(host: string, port: number): PortConfig {
    const told = toldTo(this.registry.resources, "shop/waypoint").get(`service/shop/${full(host)}`);
    assert.ok(told?.kind === "service", `nothing is told of ${host}`);
    const found = told.ports.find((each) => each.port === port);
    assert.ok(found);
    return found;
  }

  rules(host = "reviews", port = 9080): readonly HttpRule[] {
    return this.port(host, port).http?.rules ?? [];
  }

  backend(host = "reviews", namespace = "shop"): BackendConfig {
    const told = toldTo(this.registry.resources, "shop/waypoint");
    const found = told.get(`backend/${namespace}/${full(host)}`);
    assert.ok(found?.kind === "backend", `nothing is told of backend ${host}`);
    return found;
  }

  #apply(changes: Parameters<Registry["apply"]>[0]): void {
    const { problems, statuses } = this.registry.apply(changes);
    assert.deepEqual(problems, []);
    for (const { kind, namespace, name, conditions } of statuses) {
      const condition = conditions.find(({ type }) => type === "ambientmesh.dev/Accepted");
      if (condition === undefined) continue;
      const { status, reason = "", message = "" } = condition;
      this.said.set(`${kind}/${namespace}/${name}`, { status, reason, message });
    }
  }
}

function full(host: string): string {
  return host.includes(".") ? host : `${host}.shop.svc.cluster.local`;
}

/** A VirtualService `routes` of namespace shop for reviews. */
export function virtualService(spec: string, name = "routes", more = ""): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name}, namespace: shop${more} }
spec:
${indented(spec)}`;
}

/** A DestinationRule `rule` of namespace shop for reviews. */
export function destinationRule(spec: string, name = "rule", more = ""): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name}, namespace: shop${more} }
spec:
  host: reviews
${indented(spec)}`;
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, "  ");
}

/** The only http rule of a VirtualService whose only route goes to reviews. */
export function ruleOf(route: string): Readonly<Record<string, unknown>> {
  const spec = `hosts: [reviews]\nhttp:\n- ${route.trim().replaceAll("\n", "\n  ")}\n`;
  const given = new Shop(virtualService(spec));
  const [rule, ...others] = given.rules();
  assert.ok(rule);
  assert.equal(others.length, 0);
  return rule;
}
