/** Everything of an `HttpMatch` but its path, compiled to tests. */
import type { HttpMatch } from "#common/model/waypoint/http-route.ts";
import type { Report } from "./regex.ts";
import type { RequestView } from "./request-view.ts";
import { compileStringMatch, type StringTest } from "./string-match.ts";

export type RequestTest = (request: RequestView) => boolean;
type NamedMatch = HttpMatch["headers"][number];

/**
 * All tests have to hold. Undefined where one of them cannot be compiled: then the match holds for
 * nothing, inverted or not.
 */
export function compileTests(match: HttpMatch, report: Report): readonly RequestTest[] | undefined {
  const tests = [
    ...callerTests(match),
    ...lineTests(match, report),
    ...match.headers.map((header) => headerTest(header, report)),
    ...match.queryParams.map((parameter) => parameterTest(parameter, report)),
  ];
  const compiled = tests.filter((test) => test !== undefined);
  return compiled.length === tests.length ? compiled : undefined;
}

function callerTests(match: HttpMatch): RequestTest[] {
  const tests: RequestTest[] = [];
  if (match.sourceNamespaces.length > 0) {
    const namespaces = new Set(match.sourceNamespaces);
    tests.push(({ caller }) => namespaces.has(caller.namespace));
  }
  if (match.sourceWorkloads !== undefined) {
    const workloads = new Set(match.sourceWorkloads);
    tests.push(({ caller }) => caller.workload !== undefined && workloads.has(caller.workload));
  }
  return tests;
}

function lineTests(match: HttpMatch, report: Report): (RequestTest | undefined)[] {
  const tests: (RequestTest | undefined)[] = [];
  if (match.grpc === true) tests.push((request) => request.isGrpc);
  const add = (field: HttpMatch["method"], make: (test: StringTest) => RequestTest): void => {
    if (field === undefined) return;
    const test = compileStringMatch(field, report);
    tests.push(test && make(test));
  };
  add(match.method, (test) => (request) => test(request.head.method));
  add(match.scheme, (test) => (request) => test(request.head.scheme));
  // With or without the port: what people write is the name.
  add(match.authority, (test) => (request) => test(request.host) || test(request.head.authority));
  return tests;
}

/** Several values of a header are compared as one, joined by commas, as Envoy does. */
function headerTest(header: NamedMatch, report: Report): RequestTest | undefined {
  return namedTest(header, report, ({ headers }) => combined(headers.flat, header.name));
}

/** As `HeaderList.combined`, without a list for the one value that there mostly is. */
function combined(flat: readonly string[], name: string): string | undefined {
  let found: string | undefined;
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i] === name) found = found === undefined ? flat[i + 1] : `${found},${flat[i + 1]}`;
  }
  return found;
}

function parameterTest(parameter: NamedMatch, report: Report): RequestTest | undefined {
  const { name } = parameter;
  return namedTest(parameter, report, (request) => request.query.get(name));
}

/** What is absent does not match, and so matches where the request has to not match. */
function namedTest(
  { match, invert = false }: NamedMatch,
  report: Report,
  read: (request: RequestView) => string | undefined,
): RequestTest | undefined {
  const test = compileStringMatch(match, report);
  if (test === undefined) return undefined;
  return (request) => {
    const value = read(request);
    return (value !== undefined && test(value)) !== invert;
  };
}
