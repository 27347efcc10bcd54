/** The chapters about L7: a waypoint, and what it adds for the namespace that asked for it. */
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type { Narrator } from "./narrator.ts";
import type { Stage } from "./stage.ts";
import {
  RATE_LIMIT,
  SECOND_CATALOG,
  splitRoute,
  TRACING,
  tokensNeeded,
} from "./waypoint-objects.ts";

type Chapter = (stage: Stage, narrator: Narrator) => Promise<void>;

export const WAYPOINT_CHAPTERS: readonly Chapter[] = [canary, retries, tokens, rateLimit, trace];

const CALLS = 100;
const FROM_STOREFRONT = ["exec", "deploy/storefront", "-n", "storefront", "--"];
const CURL = ["curl", "-sS", "-m", "5"];

async function canary(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter("One namespace asks for L7: a waypoint, and a tenth of the calls to version 2");
  await stage.apply("catalog-v2.yaml", SECOND_CATALOG);
  await narrator.meshctl("waypoint", "apply", "-n", "catalog", "--enroll-namespace", "--wait");
  narrator.lines("cat canary.yaml", splitRoute(false).trimEnd().split("\n"));
  await stage.apply("canary.yaml", splitRoute(false));
  await stage.waitFor("version 2 is asked", async () => {
    return (await goods(stage, 10)).output.includes("samovar");
  });
  const { output } = await goods(stage, CALLS);
  const second = output.split("\n").filter((line) => line.includes("samovar")).length;
  const first = output.split("\n").filter((line) => line.includes("teapot")).length;
  narrator.say(`(${CALLS} calls: ${first} answered by version 1, ${second} by version 2)`);
  narrator.proves(
    "every call was answered, and about a tenth of them by the canary",
    first + second === CALLS && second >= 1 && second <= 30,
  );
}

async function retries(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter("Version 2 fails every other time; a retry hides it");
  const call = [...FROM_STOREFRONT, ...many("http://catalog.catalog/flaky", 10)];
  const before = await narrator.meshctl(...call);
  await stage.apply("canary.yaml", splitRoute(true));
  narrator.say("(canary.yaml: retry: { attempts: 2, codes: [503], backoff: 5ms })");
  await stage.waitFor("the retry is in force", async () => {
    return !(await stage.meshctl(call)).output.includes("503");
  });
  const after = await narrator.meshctl(...call);
  narrator.proves(
    "the same ten calls: some failed before, none does now, and the app was not touched",
    before.output.includes("503") && !after.output.includes("503"),
  );
}

async function tokens(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter("/admin needs a token of alice's");
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "demo" }] });
  const token = await new SignJWT({})
    .setProtectedHeader({ alg: "ES256", kid: "demo" })
    .setIssuer("https://issuer.example")
    .setSubject("alice")
    .setExpirationTime("1h")
    .sign(privateKey);
  const ask = (...options: string[]) => [
    ...FROM_STOREFRONT,
    ...[...CURL, "-w", " (%{http_code})", ...options, "http://catalog.catalog/admin"],
  ];
  await stage.apply("tokens.yaml", tokensNeeded(jwks));
  await stage.waitFor("the policy is in force", async () => {
    return (await stage.meshctl(ask())).output.includes("(403)");
  });
  const without = await narrator.meshctl(...ask());
  const forged = await narrator.meshctl(...ask("-H", "authorization: Bearer not.a.token"));
  const log = await stage.logLines("deploy/waypoint", "catalog", /admins-only/);
  narrator.lines("meshctl logs deploy/waypoint -n catalog", log.slice(-1));
  const good = await stage.meshctl(ask("-H", `authorization: Bearer ${token}`));
  narrator.lines("curl … -H 'authorization: Bearer (a token of alice)'", good.output.split("\n"));
  narrator.proves(
    "403 without a token, 401 with a forged one, 200 with alice's; the log names the policy",
    without.output.includes("(403)") &&
      forged.output.includes("(401)") &&
      good.output.includes("(200)"),
  );
}

async function rateLimit(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter("Ten searches an hour for each caller");
  narrator.lines("cat limit.yaml", RATE_LIMIT.trimEnd().split("\n"));
  await stage.apply("limit.yaml", RATE_LIMIT);
  await stage.waitFor("the limit is in force", async () => {
    const url = "http://catalog.catalog/search";
    return (await stage.meshctl([...FROM_STOREFRONT, ...many(url, 12)])).output.includes("429");
  });
  const told = await narrator.meshctl(
    ...[...FROM_STOREFRONT, ...CURL, "-i", "http://catalog.catalog/search?q=samovar"],
  );
  narrator.proves(
    "the eleventh is told when to come again",
    told.output.includes("429") && /retry-after: \d+/i.test(told.output),
  );
}

async function trace(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter("A trace of it, and Istio's L7 metrics");
  await stage.apply("traces.yaml", TRACING);
  const id = "0af7651916cd43dd8448eb211c80319c";
  const parent = `traceparent: 00-${id}-b7ad6b7169203331-01`;
  const call = [...FROM_STOREFRONT, ...CURL, "-H", parent, "http://catalog.catalog/goods"];
  await stage.waitFor("the collector has a span", async () => {
    await stage.meshctl(call);
    const { output } = await stage.meshctl(["logs", "collector", "-n", "observe"]);
    return output.includes("span");
  });
  const spans = await stage.logLines("collector", "observe", /span/);
  narrator.lines("meshctl logs collector -n observe", spans.slice(-1));
  const metrics = await stage.meshctl([
    ...["exec", "deploy/waypoint", "-n", "catalog", "--"],
    ...["curl", "-sS", "http://localhost:15020/metrics"],
  ]);
  const counted = metrics.output
    .split("\n")
    .filter((line) => /^istio_requests_total.*response_code="429"/.test(line));
  narrator.lines("curl -sS http://localhost:15020/metrics | grep 429", counted.slice(0, 1));
  narrator.proves(
    "the collector has the span, and istio_requests_total counts what was answered to whom",
    spans.length > 0 && counted.length > 0,
  );
}

function goods(stage: Stage, calls: number): ReturnType<Stage["meshctl"]> {
  const url = `http://catalog.catalog/goods?[1-${calls}]`;
  return stage.meshctl([...FROM_STOREFRONT, ...CURL, "-w", "\\n", url]);
}

/** One curl that asks so often, and prints the statuses. */
function many(url: string, calls: number): readonly string[] {
  return [...CURL, "-o", "/dev/null", "-w", "%{http_code} ", `${url}?[1-${calls}]`];
}
