/** Options that the kinds of `meshctl ztunnel-config` have in common. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { stringify } from "yaml";
import { ADMIN_PORT } from "#common/model/ports.ts";

export interface AdminPortOption {
  readonly proxyAdminPort: number;
}

export function withAdminPort(command: Command): Command {
  const option = new Option("--proxy-admin-port <port>", "ztunnel's admin port");
  return command.addOption(option.default(ADMIN_PORT).argParser(parsePort));
}

export type OutputFormat = "json" | "yaml" | "short" | "table";

export function withOutput(command: Command): Command {
  const option = new Option("-o, --output <format>", "how to show it; table is istioctl's short");
  return command.addOption(option.choices(["json", "yaml", "short", "table"]).default("short"));
}

export function formatOutput(format: OutputFormat, value: unknown, table: () => string): string {
  if (format === "json") return `${JSON.stringify(value, null, 2)}\n`;
  return format === "yaml" ? stringify(value) : table();
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError("give a port, 1 to 65535.");
}
