/** The access log of a ztunnel as records, and waiting for one. */
import type { TestCluster } from "#test/support/cluster.ts";

/** Fields by their names in the log; `level` and `time` too. All values as text. */
export type AccessLogRecord = Readonly<Record<string, string>>;

/** Every access log line of a ztunnel's output, in text or JSON. */
export function parseAccessLog(output: string): readonly AccessLogRecord[] {
  return output.split("\n").flatMap((line) => {
    const record = line.startsWith("{") ? parseJson(line) : parseText(line);
    return record?.scope === "access" ? [record] : [];
  });
}

function parseJson(line: string): AccessLogRecord {
  const values = JSON.parse(line) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, String(value)]));
}

function parseText(line: string): AccessLogRecord | undefined {
  const [time = "", level = "", scope = "", message = "", fields] = line.split("\t");
  if (fields === undefined) return undefined;
  const record: Record<string, string> = { time, level, scope, message };
  for (const [, name = "", quoted, bare] of fields.matchAll(
    /([\w.]+)=(?:("(?:[^"\\]|\\.)*")|(\S*))/g,
  )) {
    record[name] = quoted === undefined ? (bare ?? "") : JSON.parse(quoted);
  }
  return record;
}

export async function accessLog(
  cluster: TestCluster,
  node: string,
): Promise<readonly AccessLogRecord[]> {
  return parseAccessLog(await cluster.ztunnel(node).logs());
}

/** Waits for a record whose fields have these values, exactly or by pattern. */
export async function waitForRecord(
  cluster: TestCluster,
  node: string,
  wanted: Readonly<Record<string, string | RegExp>>,
): Promise<AccessLogRecord> {
  let found: AccessLogRecord | undefined;
  let last: AccessLogRecord | undefined;
  const shown = JSON.stringify(wanted, (_, v) => (v instanceof RegExp ? String(v) : v));
  const what = `the access log of ${node} has ${shown}`;
  await cluster
    .until(what, async () => {
      const records = await accessLog(cluster, node);
      last = records.at(-1);
      found = records.find((record) => matches(record, wanted));
      return found !== undefined;
    })
    .catch((error: Error) => {
      throw new Error(`${error.message}; its last record is ${JSON.stringify(last)}`);
    });
  return found as AccessLogRecord;
}

/** The records whose fields have these values. */
export async function findRecords(
  cluster: TestCluster,
  node: string,
  wanted: Readonly<Record<string, string | RegExp>>,
): Promise<readonly AccessLogRecord[]> {
  return (await accessLog(cluster, node)).filter((record) => matches(record, wanted));
}

function matches(
  record: AccessLogRecord,
  wanted: Readonly<Record<string, string | RegExp>>,
): boolean {
  return Object.entries(wanted).every(([name, value]) =>
    typeof value === "string" ? record[name] === value : value.test(record[name] ?? ""),
  );
}
