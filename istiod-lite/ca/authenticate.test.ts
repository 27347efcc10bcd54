import assert from "node:assert/strict";
import { test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { MeshError } from "#common/runtime/errors.ts";
import { authenticate } from "./authenticate.ts";
import type { Caller } from "./caller.ts";
import type { TokenReviewer } from "./token-review.ts";

const CALLER: Caller = { namespace: "shop", serviceAccount: "web" };

function reviewer(failure?: Error): TokenReviewer & { readonly seen: (string | undefined)[] } {
  const seen: (string | undefined)[] = [];
  const review = async (header: string | undefined): Promise<Caller> => {
    seen.push(header);
    if (failure !== undefined) throw failure;
    return CALLER;
  };
  return { seen, review };
}

function carrying(...headers: readonly string[]): Metadata {
  const metadata = new Metadata();
  for (const header of headers) metadata.add("authorization", header);
  return metadata;
}

test("a call is its token's caller's", async () => {
  const tokens = reviewer();
  assert.deepEqual(await authenticate(tokens, carrying("Bearer a.b.c")), { caller: CALLER });
  assert.deepEqual(tokens.seen, ["Bearer a.b.c"]);
});

test("a token that is refused is, and one that nobody can review is to come again", async () => {
  const refused = reviewer(new MeshError("UNAUTHENTICATED", "it has expired"));
  const { refusal } = await authenticate(refused, carrying("Bearer a.b.c"));
  assert.equal(refusal?.code, status.UNAUTHENTICATED);
  assert.equal(refusal.details, "request authenticate failure");
  assert.equal(refusal.why, "it has expired");
  const away = reviewer(new MeshError("TOKEN_NOT_REVIEWED", "the API server is away"));
  const later = await authenticate(away, carrying("Bearer a.b.c"));
  assert.equal(later.refusal?.code, status.UNAVAILABLE);
  assert.equal(later.refusal.details, "tokens cannot be reviewed now");
});

test("of several tokens none counts", async () => {
  const tokens = reviewer();
  const { refusal } = await authenticate(tokens, carrying("Bearer a.b.c", "Bearer d.e.f"));
  assert.equal(refusal?.code, status.UNAUTHENTICATED);
  assert.deepEqual(tokens.seen, []);
});
