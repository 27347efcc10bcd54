/** The bench's echo server. Usage: node server-main.ts PORT */
import type { IpAddress } from "#common/model/ip.ts";
import { serveEcho } from "./echo-server.ts";

serveEcho({ ip: "0.0.0.0" as IpAddress, port: Number(process.argv[2]) });
