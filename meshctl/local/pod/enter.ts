/** The command lines that enter a pod or a node, from inside the cluster or from outside of it. */

/**
 * `proc` is where the target's /proc is seen: "/proc" inside the cluster, `/proc/INIT/root/proc`
 * outside.
 */
export interface EnterTarget {
  readonly proc: string;
  readonly pid: number;
}

/**
 * Runs `argv` in a pod as its containers run: all its namespaces, its files, its process numbers.
 * The started nsenter stays outside as the parent, and ends with the status of the command.
 */
export function enterPod(
  target: EnterTarget,
  argv: readonly string[],
  workingDir?: string,
): readonly string[] {
  const ns = (name: string) => `${target.proc}/${target.pid}/ns/${name}`;
  const command =
    workingDir === undefined || workingDir === ""
      ? argv
      : ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", workingDir, ...argv];
  return [
    "nsenter",
    `--net=${ns("net")}`,
    `--uts=${ns("uts")}`,
    `--ipc=${ns("ipc")}`,
    `--pid=${ns("pid")}`,
    `--mount=${ns("mnt")}`,
    "--",
    ...command,
  ];
}

/**
 * Runs `argv` with the machine's files in the network of a pod or node. `initPid` is the cluster's
 * init as seen from outside: its process numbers are entered too, so that the command ends with the
 * cluster.
 */
export function enterNetns(
  target: EnterTarget,
  initPid: number | undefined,
  argv: readonly string[],
): readonly string[] {
  const pidns = initPid === undefined ? [] : [`--pid=/proc/${initPid}/ns/pid`];
  return ["nsenter", `--net=${target.proc}/${target.pid}/ns/net`, ...pidns, "--", ...argv];
}
