/**
 * A file by which whoever takes the mesh off a node says so to the ztunnels on it. It holds as long
 * as it is written again and again: one that was left behind stops no later installation.
 */
import fs from "node:fs";
import path from "node:path";
import { UNINSTALL_MARKER_MS } from "./limits.ts";

export class UninstallMarker {
  readonly #file: string;

  /** Stands beside the socket of the CNI plugin, where every ztunnel of the node looks. */
  constructor(socketPath: string) {
    this.#file = path.join(path.dirname(socketPath), "uninstall");
  }

  write(): void {
    fs.mkdirSync(path.dirname(this.#file), { recursive: true, mode: 0o700 });
    fs.writeFileSync(this.#file, "ambient-mesh is being taken off this node\n");
  }

  get holds(): boolean {
    const at = fs.statSync(this.#file, { throwIfNoEntry: false })?.mtimeMs;
    return at !== undefined && Math.abs(Date.now() - at) < UNINSTALL_MARKER_MS;
  }

  remove(): void {
    fs.rmSync(this.#file, { force: true });
  }
}
