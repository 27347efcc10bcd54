/** `--ztunnel-env NAME=VALUE` and `--istiod-env NAME=VALUE` of `meshctl up`. */
import { InvalidArgumentError } from "commander";

/** By the name of the variable. */
export type Env = Readonly<Record<string, string>>;

/**
 * Adds one more variable to those given before; commander calls it per option. Throws
 * InvalidArgumentError for what is no assignment, and for a name given twice.
 */
export function addVariable(text: string, before: Env): Env {
  const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError("give NAME=VALUE, such as XDS_ON_DEMAND=true.");
  }
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`${name} is given twice.`);
  return { ...before, [name]: value };
}
