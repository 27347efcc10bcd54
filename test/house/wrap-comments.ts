/** Breaks comment lines over 100 columns at a space and lets the rest flow into the next line. */

const MAX_COLUMNS = 100;

/** One line of a comment: what stands before its text, and the text. */
interface CommentLine {
  readonly lead: string;
  readonly text: string;
}

export function wrapComments(source: string): string {
  const lines = source.split("\n").flatMap(openWideBlock);
  const out: string[] = [];
  for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
    const comment = readComment(line);
    const cut = comment === undefined ? -1 : cutOf(line, comment);
    if (comment === undefined || cut < 0) {
      out.push(line);
      continue;
    }
    out.push(line.slice(0, cut).trimEnd());
    const rest = line.slice(cut).trim();
    const next = lines[0] === undefined ? undefined : readComment(lines[0]);
    const lead = restLead(comment);
    if (next !== undefined && continues(comment, next)) {
      lines[0] = `${lead}${rest} ${next.text.trimStart()}`;
    } else {
      lines.unshift(`${lead}${rest}`);
    }
  }
  return out.join("\n");
}

/** A wide comment on one line, or one that ends on its last line of text, gets lines of its own. */
function openWideBlock(line: string): string[] {
  if (line.length <= MAX_COLUMNS) return [line];
  const whole = /^(\s*)\/\*\* (.*\S)\s*\*\/$/.exec(line);
  if (whole !== null) return [`${whole[1]}/**`, `${whole[1]} * ${whole[2]}`, `${whole[1]} */`];
  const last = /^(\s*\*) (.*\S)\s*\*\/$/.exec(line);
  return last === null ? [line] : [`${last[1]} ${last[2]}`, `${last[1]}/`];
}

function readComment(line: string): CommentLine | undefined {
  const match = /^(\s*(?:\/\/|\*|\/\*\*) )(.*)$/.exec(line);
  return match === null ? undefined : { lead: match[1] ?? "", text: match[2] ?? "" };
}

/** Where to break, or -1 where the line fits or has no space to break at. */
function cutOf(line: string, { lead }: CommentLine): number {
  if (line.length <= MAX_COLUMNS) return -1;
  const cut = line.lastIndexOf(" ", MAX_COLUMNS);
  return cut > lead.length ? cut : -1;
}

/** What stands before the rest of a broken line: items of a list hang. */
function restLead({ lead, text }: CommentLine): string {
  const hang = /^\s*(?:(?:[-*]|\d+\.) +)?/.exec(text)?.[0] ?? "";
  return lead.replace("/**", " *") + " ".repeat(hang.length);
}

/** Whether the next line is more of the same paragraph. */
function continues(comment: CommentLine, next: CommentLine): boolean {
  if (restLead({ lead: "", text: comment.text }) !== restLead({ lead: "", text: next.text })) {
    return false;
  }
  return !/^\s*([-*@|`<{/]|\d+\.\s|biome-ignore|$)/.test(next.text);
}
