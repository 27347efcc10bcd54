import assert from "node:assert/strict";
import { test } from "node:test";
import { containerArgv, findImage, NODE_BINARY } from "./images.ts";

test("an image is known by its name, wherever it comes from and whichever version", () => {
  for (const image of [
    "node",
    "node:26-slim",
    "docker.io/library/node:26",
    "library/node",
    "localhost:5000/node:1",
    "registry.example.com/node@sha256:0123",
    "docker.io/curlimages/curl:8.1",
    "gcr.io/istio-release/pilot:1.30.0",
    "docker.io/istio/ztunnel:1.30.0-distroless",
    "registry.k8s.io/pause:3.9",
  ]) {
    assert.notEqual(findImage(image), undefined, image);
  }
  for (const image of ["nginx", "example/node", "nodejs", "node/node", "pilot"]) {
    assert.equal(findImage(image), undefined, image);
  }
});

test("command replaces the entrypoint, args follow it, and neither means the image's own", () => {
  const curl = "curlimages/curl";
  assert.deepEqual(containerArgv({ image: curl, args: ["-v"] }), ["curl", "-v"]);
  assert.deepEqual(containerArgv({ image: curl, command: ["sleep", "1"] }), ["sleep", "1"]);
  const both = { image: curl, command: ["sh"], args: ["-c", "true"] };
  assert.deepEqual(containerArgv(both), ["sh", "-c", "true"]);
  assert.deepEqual(containerArgv({ image: "busybox" }), ["sh"]);
  assert.equal(containerArgv({ image: "nginx", command: ["true"] }), undefined);
});

test("node's image runs scripts and options with node, as its entrypoint does", () => {
  assert.deepEqual(containerArgv({ image: "node:26", args: ["a.js"] }), ["node", "a.js"]);
  assert.deepEqual(containerArgv({ image: "node:26", args: ["--test"] }), ["node", "--test"]);
  assert.deepEqual(containerArgv({ image: "node:26", args: ["npm", "i"] }), ["npm", "i"]);
});

test("istio's images run this project's programs", () => {
  const argv = containerArgv({ image: "istio/ztunnel" }) ?? [];
  assert.equal(argv[0], NODE_BINARY);
  assert.match(argv.at(-1) ?? "", /\/ztunnel\/main\.ts$/);
});
