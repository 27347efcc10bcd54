/** Which of the machine's own mounts a pod has to see beside the root file system. */

/** Kernel interfaces, and what every pod gets of its own. */
const NOT_BELOW = ["/proc", "/sys", "/dev", "/run"];
const KERNEL_TYPES = new Set([
  "proc",
  "sysfs",
  "devtmpfs",
  "devpts",
  "cgroup",
  "cgroup2",
  "mqueue",
]);

/**
 * Mount points of real file systems below `/`, outermost first, from the text of
 * /proc/self/mountinfo. Names with spaces are left out: no program that a pod needs lives there.
 */
export function machineMounts(mountinfo: string): readonly string[] {
  const points = mountinfo.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const point = before.split(" ")[4] ?? "/";
    const [type = ""] = after.split(" ");
    const excluded = NOT_BELOW.some((top) => point === top || point.startsWith(`${top}/`));
    return point === "/" || excluded || KERNEL_TYPES.has(type) || point.includes("\\")
      ? []
      : [point];
  });
  return [...new Set(points)].sort((a, b) => a.length - b.length);
}
