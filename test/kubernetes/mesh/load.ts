/**
 * Runs in test pods: sends requests at a fixed rate, each on its own connection, until SIGTERM,
 * then writes how they went as JSON.
 *
 * usage: node load.ts URL REQUESTS-PER-SECOND REPORT-FILE
 */
import { renameSync, writeFileSync } from "node:fs";
import { request } from "node:http";

const [url = "", rate = "", file = ""] = process.argv.slice(2);
const TIMEOUT_MS = 15_000;
/** Failures that are told one by one. */
const TOLD = 10;

const failures: string[] = [];
const answeredBy: Record<string, number> = {};
let [sent, succeeded, failed] = [0, 0, 0];
const start = Date.now();
let isOver = false;

function fail(why: string): void {
  failed += 1;
  if (failures.length < TOLD)
    failures.push(`${((Date.now() - start) / 1000).toFixed(2)} s: ${why}`);
}

function send(): void {
  sent += 1;
  const call = request(url, { agent: false, timeout: TIMEOUT_MS }, (response) => {
    let body = "";
    response.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    response.on("error", (error) => fail(error.message));
    response.on("end", () => {
      if (response.statusCode !== 200) return fail(`${response.statusCode} ${body.slice(0, 200)}`);
      succeeded += 1;
      const { version } = JSON.parse(body) as { version: string };
      answeredBy[version] = (answeredBy[version] ?? 0) + 1;
      if (succeeded === 1) process.send?.("answered");
    });
  });
  call.on("timeout", () => call.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
  call.on("error", (error) => fail(error.message));
  call.end();
}

/** Catches up after a pause: the rate holds on a busy machine too. */
function sendDue(): void {
  const due = Math.floor(((Date.now() - start) / 1_000) * Number(rate));
  while (!isOver && sent < due) send();
  if (!isOver) setTimeout(sendDue, 5);
  else if (succeeded + failed < sent) setTimeout(sendDue, 50);
  else report();
}

function report(): void {
  writeFileSync(`${file}.part`, JSON.stringify({ sent, succeeded, failed, failures, answeredBy }));
  renameSync(`${file}.part`, file);
  process.exit(0);
}

process.on("SIGTERM", () => {
  isOver = true;
});
sendDue();
