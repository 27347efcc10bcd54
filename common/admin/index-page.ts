/** What a browser shows of the admin port: the pages there are. */

export interface IndexEntry {
  readonly methods: readonly string[];
  readonly description: string;
}

/** Pages that are only read are links; the others are named with how to call them. */
export function formatIndexPage(program: string, entries: ReadonlyMap<string, IndexEntry>): string {
  const rows = [...entries].map(([path, { methods, description }]) => {
    const readable = methods.includes("GET");
    const name = readable ? `<a href="${path}">${path}</a>` : `POST ${path}`;
    return `<tr><td>${name}</td><td>${escapeText(description)}</td></tr>`;
  });
  return `<!doctype html>
<html lang="en">
<title>${program}</title>
<h1>ambient-mesh ${program}</h1>
<table>
${rows.join("\n")}
</table>
</html>
`;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
