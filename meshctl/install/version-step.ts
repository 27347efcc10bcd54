/** Which step from one version to another is safe. Pure. */

/** Why not, in words; undefined where it is. */
export function refusedStep(from: string | undefined, to: string | undefined): string | undefined {
  const [old, next] = [parse(from), parse(to)];
  // A name such as "latest" says nothing about what it is: that is for whoever wrote it to know.
  if (old === undefined || next === undefined) return undefined;
  const step = `from ${from} to ${to}`;
  if (next.major !== old.major) return `${step} is another major version`;
  const minors = next.minor - old.minor;
  if (minors < 0 || (minors === 0 && next.patch < old.patch)) return `${step} is a step back`;
  if (minors > 1) {
    const between = `${old.major}.${old.minor + 1}`;
    return `${step} leaves out ${between}: programs of two versions in a row speak to each other`;
  }
  return undefined;
}

function parse(version: string | undefined) {
  const found = /^v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})/.exec(version ?? "");
  if (found === null) return undefined;
  const [, major, minor, patch] = found;
  return { major: Number(major), minor: Number(minor), patch: Number(patch) };
}
