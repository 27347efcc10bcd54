/**
 * A policy that is broken in the folder: it is refused with file, line and field; what it said last
 * stays in force, and no connection takes notice. It comes into force when it is mended.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { stringify } from "yaml";
import { type Call, PolicyMesh } from "#test/support/policy-mesh.ts";
import { deny, peerAuthentication, rule } from "#test/support/policy-objects.ts";
import { StandingConnection, serveEcho } from "#test/support/standing-connections.ts";

const FILE = "guard.yaml";

/** Denies the frontend; each row below replaces one line of it. */
const GOOD = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: guard
  namespace: shop
spec:
  selector:
    matchLabels:
      app: db
  action: DENY
  rules:
    - from:
        - source:
            principals: ["cluster.local/ns/web/sa/frontend"]
            notIpBlocks: ["192.0.2.0/24"]
      to:
        - operation:
            ports: ["8080", "9090", "7070", "6001", "6002"]
      when:
        - key: source.namespace
          values: ["web"]
`;

/** A good line, what it is replaced by, and what is said of it. */
const BROKEN: Readonly<Record<string, readonly [line: string, bad: string, says: RegExp]>> = {
  "a field that is none": ["            principals:", "            principal:", /principal/],
  "an operation's field that is none": ["            ports:", "            port:", /port\b/],
  "a field of the spec that is none": ["  action: DENY", "  actions: DENY", /actions/],
  "an action that is none": ["  action: DENY", "  action: Deny", /spec\.action/],
  "a port that is no number": ['["8080", ', '["http", ', /ports\[0\]/],
  "a port out of range": ['["8080", ', '["65536", ', /ports\[0\]/],
  "a port without quotes": ['["8080", ', "[8080, ", /ports\[0\]/],
  "a block with too long a prefix": ['["192.0.2.0/24"]', '["192.0.2.0/33"]', /notIpBlocks\[0\]/],
  "a block that is none": ['["192.0.2.0/24"]', '["192.0.2"]', /notIpBlocks\[0\]/],
  "a principal with its scheme": ['["cluster', '["spiffe://cluster', /principals\[0\]/],
  "a * in the middle": ["/sa/frontend", "/*/frontend", /principals\[0\]/],
  "an empty list": ['values: ["web"]', "values: []\n          notValues: []", /values/],
  "an unknown condition": ["key: source.namespace", "key: source.namespaces", /when\[0\]\.key/],
  "a label that no object can have": ["      app: db", "      app: d b", /selector\.matchLabels/],
  "a selector that is none": ["    matchLabels:", "    labels:", /selector/],
  "a line that is no YAML": ["  action: DENY", "  action: }", /guard\.yaml/],
  "a tab for spaces": ["  action: DENY", "\taction: DENY", /guard\.yaml/],
};

const isFrontendToDb = ({ client, server }: Call): boolean =>
  client === "frontend" && server === "db";

describe("a policy file with", () => {
  let mesh: PolicyMesh;
  before(async () => {
    mesh = await PolicyMesh.start();
    await serveEcho(mesh);
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  for (const [title, [line, bad, says]] of Object.entries(BROKEN)) {
    test(`${title} is refused where it stands, and what it said before goes on`, async () => {
      await mesh.enforce();
      await mesh.save(FILE, GOOD);
      await mesh.settle();
      const standing = await StandingConnection.openAll(mesh);
      const text = GOOD.replace(line, bad);
      assert.notEqual(text, GOOD);
      await mesh.save(FILE, text);
      const problem = await problemOf(mesh, FILE);
      const number = GOOD.slice(0, GOOD.indexOf(line)).split("\n").length;
      checkProblem(problem, number, says);
      await mesh.cluster.until("it is said", () =>
        mesh.cluster.events.some((event) => event.text.includes(problem)),
      );
      await mesh.settle();
      await mesh.assertAllowed((call) => !isFrontendToDb(call));
      await Promise.all(standing.map((each) => each.use()));
      for (const each of standing) each.close();
    });
  }

  test("an error from the start is in force in no part, and keeps nothing else from it", async () => {
    await mesh.enforce(deny([rule({ source: { namespaces: ["shop"] } })]));
    await mesh.save(FILE, GOOD.replace('["8080", ', '["http", '));
    await problemOf(mesh, FILE);
    await mesh.settle();
    await mesh.assertAllowed(
      ({ client, server }) => client !== "neighbour" || server === "staging",
    );
  });

  test("an error comes into force when it is mended, with what was changed meanwhile", async () => {
    await mesh.enforce();
    await mesh.save(FILE, GOOD);
    await mesh.settle();
    await mesh.save(FILE, GOOD.replace('["8080", ', '["http", '));
    await problemOf(mesh, FILE);
    await mesh.save(FILE, GOOD.replace("sa/frontend", "sa/batch"));
    await mesh.settle();
    await mesh.cluster.checkProblems();
    await mesh.assertAllowed(({ client, server }) => client !== "batch" || server !== "db");
  });

  test("an error that is deleted takes what it said before with it", async () => {
    await mesh.enforce();
    await mesh.save(FILE, GOOD);
    await mesh.settle();
    await mesh.save(FILE, GOOD.replace('["8080", ', '["http", '));
    await problemOf(mesh, FILE);
    await mesh.enforce();
    await mesh.assertAllowed(() => true);
  });

  test("an error keeps its whole file as it was, and no other file", async () => {
    const other = (namespace: string) =>
      stringify(deny([rule({ source: { namespaces: [namespace] } })], { name: "other" }));
    await mesh.enforce();
    await mesh.save(FILE, `${GOOD}---\n${other("shop")}`);
    await mesh.settle();
    const broken = GOOD.replace('["8080", ', '["http", ');
    await mesh.save(FILE, `${broken}---\n${other("web")}`);
    await mesh.save("strict.yaml", stringify(peerAuthentication("STRICT")));
    await problemOf(mesh, FILE);
    await mesh.settle();
    await mesh.assertAllowed((call) => {
      if (call.server === "staging") return true;
      return call.client === "batch" || (call.client === "frontend" && !isFrontendToDb(call));
    });
  });

  test("a PeerAuthentication's mode that is none leaves the last one STRICT", async () => {
    const strict = stringify(peerAuthentication("STRICT", { name: "default" }));
    await mesh.enforce();
    await mesh.save(FILE, strict);
    await mesh.settle();
    await mesh.save(FILE, strict.replace("STRICT", "permissive"));
    const problem = await problemOf(mesh, FILE);
    checkProblem(problem, strict.split("\n").findIndex((line) => /STRICT/.test(line)) + 1, /mode/);
    await mesh.settle();
    await mesh.assertAllowed(({ client, server }) => client !== "outsider" || server === "staging");
  });
});

/** What is said of the file, once something is. */
async function problemOf(mesh: PolicyMesh, file: string): Promise<string> {
  let found: string | undefined;
  await mesh.cluster.until(`${file} has a problem`, async () => {
    const { problems } = await mesh.cluster.client.info();
    found = problems.find((problem) => problem.includes(file));
    return found !== undefined;
  });
  return found ?? "";
}

function checkProblem(problem: string, line: number, says: RegExp): void {
  assert.match(problem, /: error: /);
  assert.match(problem, says);
  const [, reported] = /guard\.yaml:(\d+):\d+: /.exec(problem) ?? [];
  assert.equal(Number(reported), line, problem);
}
