/** The pages of an admin port: loopback only, with a first page that names the others. */
import type { Answer, Query, RunningServer } from "#common/runtime/http-server.ts";
import { formatIndexPage, type IndexEntry } from "./index-page.ts";
import { serveOnLoopback } from "./loopback-server.ts";
import { methodNotAllowed, READING } from "./methods.ts";

export interface Page extends IndexEntry {
  readonly answer: (query: Query) => Answer | Promise<Answer>;
}

/** Pages by their paths; `program` is the title of the first one. */
export function servePages(
  port: number,
  program: string,
  pages: ReadonlyMap<string, Page>,
): Promise<RunningServer> {
  const index: Page = {
    methods: READING,
    description: "this page",
    answer: () => ({
      status: 200,
      contentType: "text/html; charset=utf-8",
      body: formatIndexPage(program, pages),
    }),
  };
  return serveOnLoopback(port, (query) => {
    const page = query.path === "/" ? index : pages.get(query.path);
    if (page === undefined) {
      const known = [...pages.keys()].join(", ");
      return { status: 404, body: `no such page; there are ${known}\n` };
    }
    return page.methods.includes(query.method)
      ? page.answer(query)
      : methodNotAllowed(page.methods);
  });
}
