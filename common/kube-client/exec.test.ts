/** Commands in a pod through a real WebSocket server. */
import assert from "node:assert/strict";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { execInPod } from "./exec.ts";
import { startStreamServer } from "./streams-fixture.ts";

const message = (channel: number, words: string) =>
  Buffer.concat([Buffer.of(channel), Buffer.from(words)]);

const failure = (code: string) => ({
  status: "Failure",
  reason: "NonZeroExitCode",
  details: { causes: [{ reason: "ExitCode", message: code }] },
});

function outputs() {
  return { stdout: new PassThrough(), stderr: new PassThrough() };
}

describe("a command in a pod", () => {
  test("has its outputs apart, its input to the end, and its exit status", async () => {
    const protocol = "v5.channel.k8s.io";
    let input = "";
    await using server = await startStreamServer({
      protocol,
      onSocket: (socket) => {
        socket.on("message", (bytes) => {
          const [channel, ...rest] = bytes as Buffer;
          if (channel === 0) input += Buffer.from(rest).toString();
          // The end of the input.
          if (channel !== 255) return;
          assert.deepEqual(rest, [0]);
          socket.send(message(1, `read ${input}`));
          socket.send(message(2, "warned"));
          socket.send(message(3, JSON.stringify(failure("7"))));
          socket.close();
        });
      },
    });
    const out = outputs();
    const code = await execInPod(server.connection, {
      namespace: "shop",
      pod: "cart",
      container: "app",
      command: ["cat", "-n"],
      stdin: Readable.from([Buffer.from("one"), Buffer.from(" two")]),
      ...out,
    });
    assert.equal(code, 7);
    assert.equal(await text(out.stdout.end()), "read one two");
    assert.equal(await text(out.stderr.end()), "warned");
    assert.deepEqual(server.asked, [
      "/api/v1/namespaces/shop/pods/cart/exec?container=app&command=cat&command=-n" +
        "&stdin=true&stdout=true&stderr=true&tty=false",
    ]);
  });

  test("that succeeds is 0, also in the older protocol", async () => {
    await using server = await startStreamServer({
      onSocket: (socket) => {
        socket.send(message(3, JSON.stringify({ status: "Success" })));
        socket.close();
      },
    });
    const request = { namespace: "shop", pod: "cart", command: ["true"], ...outputs() };
    assert.equal(await execInPod(server.connection, request), 0);
  });

  test("that was not run, or whose end nobody saw, is an error", async () => {
    for (const [words, expected] of [
      ['{"status":"Failure","message":"no such file"}', /no such file/],
      ["", /ended before the command did/],
    ] as const) {
      await using server = await startStreamServer({
        onSocket: (socket) => {
          if (words !== "") socket.send(message(3, words));
          socket.close();
        },
      });
      const request = { namespace: "shop", pod: "cart", command: ["x"], ...outputs() };
      await assert.rejects(execInPod(server.connection, request), (error: Error) => {
        assert.match(error.message, expected);
        return true;
      });
    }
  });
});
