/** The images that every cluster of the tests has: the pause program, busybox and CoreDNS. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./command.ts";
import { type ImageContent, writeImage } from "./oci-image.ts";

/**
 * busybox with its commands in /bin (a shell, httpd, nc), and this machine's curl, because a static
 * busybox cannot look names up.
 */
export const BUSYBOX_IMAGE = "kube.test/busybox:1";
export const PAUSE_IMAGE = "kube.test/pause:1";
export const COREDNS_IMAGE = "kube.test/coredns:1";

const USERS = {
  "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
  "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
};

/** 68 years: the pause program only holds its pod's namespaces. */
const FOR_EVER = String(2 ** 31 - 1);

/** File name of the tar to what writes it. */
export function testImages(
  busybox: string,
  coredns: string,
): Readonly<Record<string, (folder: string) => Promise<void>>> {
  const write = (file: string, content: () => Promise<ImageContent>) => ({
    [file]: async (folder: string) => writeImage(join(folder, file), await content()),
  });
  return {
    ...write("pause.tar", async () => ({
      name: PAUSE_IMAGE,
      entrypoint: ["/bin/sleep", FOR_EVER],
      files: { "/bin/busybox": busybox },
      links: { "/bin/sleep": "busybox" },
    })),
    ...write("busybox.tar", async () => ({
      name: BUSYBOX_IMAGE,
      command: ["sh"],
      files: { "/bin/busybox": busybox, ...(await withLibraries("curl")) },
      links: await appletLinks(busybox),
      texts: USERS,
    })),
    ...write("coredns.tar", async () => ({
      name: COREDNS_IMAGE,
      entrypoint: ["/coredns"],
      files: { "/coredns": coredns },
      texts: USERS,
    })),
  };
}

async function appletLinks(busybox: string): Promise<Record<string, string>> {
  const applets = (await runCommand([busybox, "--list"])).trim().split("\n");
  const others = applets.filter((applet) => applet !== "busybox");
  return Object.fromEntries(others.map((applet) => [`/bin/${applet}`, "busybox"]));
}

/** A program of this machine and the libraries that it loads, each at its own path. */
async function withLibraries(command: string): Promise<Record<string, string>> {
  const program = (await runCommand(["sh", "-c", `command -v ${command}`])).trim();
  const libraries = (await runCommand(["ldd", program])).match(/\/\S+(?= \()/g) ?? [];
  return Object.fromEntries([program, ...libraries].map((path) => [path, path]));
}

/** Changes with what the images are made of besides the programs, and with how. */
export const TEST_IMAGES_KEY = ["test-images.ts", "oci-image.ts"]
  .map((file) => readFileSync(join(import.meta.dirname, file), "utf8"))
  .join("");
