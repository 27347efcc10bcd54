/**
 * What policies cost a waypoint: 10,000 L7 policies of 10 rules compiled and checked, and a token
 * seen for the first time and again. `node test/bench/l7-policy/main.ts`; times by the clock.
 */
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { authorize } from "#common/authorization/http/evaluate.ts";
import { HttpPolicySet } from "#common/authorization/http/policy-set.ts";
import { RequestView } from "#common/authorization/http/request-view.ts";
import type { L7Authorization, L7Rule } from "#common/model/waypoint/policy.ts";
import { factsOf } from "#waypoint/filter/authorization/request-facts.ts";
import { JwksCache } from "#waypoint/filter/jwt/jwks-cache.ts";
import { createJwtStage } from "#waypoint/filter/jwt/jwt-stage.ts";
import { jwtRule, request } from "#waypoint/filter/request-fixture.ts";

const POLICIES = 10_000;
const RULES = 10;
const CHECKS = 20_000;

type MakeRule = (policy: number, rule: number) => Partial<L7Rule>;

/** What people write, one kind at a time, and all of it in turns. */
const SHAPES: Readonly<Record<string, MakeRule>> = {
  principals: (p, r) => ({ from: [{ principals: [`cluster.local/ns/a${p}/sa/s${r}`] }] }),
  "paths and methods": (p, r) => ({ to: [{ methods: ["GET"], paths: [`/api/v${p}/r${r}/*`] }] }),
  templates: (p, r) => ({ to: [{ paths: [`/t${p}/{*}/r${r}/{**}`] }] }),
  hosts: (p, r) => ({ to: [{ hosts: [`h${r}.n${p}.example`] }] }),
  headers: (p, r) => ({ when: [{ key: "request.headers[x-tenant]", values: [`t${p}-${r}`] }] }),
  claims: (p, r) => ({ when: [{ key: "request.auth.claims[team]", values: [`t${p}-${r}`] }] }),
  "address blocks": (p, r) => ({ from: [{ ipBlocks: [`172.${r}.${p & 255}.0/24`] }] }),
};

function policies(make: MakeRule, action: "allow" | "deny"): readonly L7Authorization[] {
  return Array.from({ length: POLICIES }, (_, p) => ({
    key: `shop/p${p}`,
    action,
    dryRun: false,
    rules: Array.from({ length: RULES }, (__, r) => ({
      from: [],
      to: [],
      when: [],
      ...make(p, r),
    })),
  }));
}

function clocked(action: () => void): number {
  const start = performance.now();
  action();
  return performance.now() - start;
}

function percentiles(times: number[]): string {
  times.sort((a, b) => a - b);
  const at = (share: number): string =>
    ((times[Math.floor((times.length - 1) * share)] ?? 0) * 1000).toFixed(1);
  return `p50 ${at(0.5)} us, p99 ${at(0.99)} us`;
}

function benchPolicies(name: string, make: MakeRule, action: "allow" | "deny"): void {
  const list = policies(make, action);
  let set = HttpPolicySet.compile([], "http");
  const compileMs = clocked(() => {
    set = HttpPolicySet.compile(list, "http");
  });
  const context = request({ path: "/api/v7/x?y", headers: [["x-tenant", "other"]] });
  context.tokens.push({ issuer: "i", principal: "i/u", claims: { iss: "i", sub: "u", team: "x" } });
  const check = (): void => void authorize(new RequestView(factsOf(context)), [set]);
  for (let i = 0; i < 1_000; i++) check();
  const times = Array.from({ length: CHECKS }, () => clocked(check));
  console.log(
    `${POLICIES} ${action.toUpperCase()} policies of ${RULES} rules by ${name}: ` +
      `compiled in ${compileMs.toFixed(0)} ms, a check that none matches ${percentiles(times)}`,
  );
}

async function benchTokens(): Promise<void> {
  for (const alg of ["ES256", "RS256"]) {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: "k" };
    const rules = [jwtRule({ issuer: "i", jwks: JSON.stringify({ keys: [jwk] }) })];
    const policy = { requestAuthentications: [{ key: "shop/jwt", rules }] };
    const jwks = new JwksCache({ fetch: () => Promise.reject(new Error()), now: () => 0 });
    const stage = createJwtStage({ jwks, now: Date.now });
    const base = request({ policies: policy });
    const bearing = (token: string) => ({
      ...request({ headers: [["authorization", `Bearer ${token}`]] }),
      downstream: base.downstream,
    });
    const sign = (i: number): Promise<string> =>
      new SignJWT({ iss: "i", sub: `u${i}` })
        .setProtectedHeader({ alg, kid: "k" })
        .sign(privateKey);
    const first: number[] = [];
    for (let i = 0; i < 500; i++) {
      const context = bearing(await sign(i));
      const start = performance.now();
      await stage(context);
      first.push(performance.now() - start);
    }
    const token = await sign(0);
    const again = Array.from({ length: CHECKS }, () => {
      const context = bearing(token);
      return clocked(() => void stage(context));
    });
    console.log(`${alg}: a token for the first time ${percentiles(first)}`);
    console.log(`${alg}: a token again ${percentiles(again)}`);
  }
}

for (const [name, make] of Object.entries(SHAPES)) {
  for (const action of ["deny", "allow"] as const) benchPolicies(name, make, action);
}
const shapes = Object.values(SHAPES);
benchPolicies("all of it in turns", (p, r) => shapes[p % shapes.length]?.(p, r) ?? {}, "deny");
await benchTokens();
