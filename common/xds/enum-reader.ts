/**
 * Enum numbers of one resource: those that this version does not know are collected, and read as
 * something that is safe.
 */

export class EnumReader {
  readonly #unknown: string[] = [];
  #unusable: string | undefined;

  /** The name of a number; `safe` for one that is not known. */
  optional<Name extends string>(
    names: readonly Name[],
    number: number,
    what: string,
    safe: Name,
  ): Name {
    const name = names[number];
    if (name !== undefined) return name;
    this.#unknown.push(`unknown ${what} ${number}, taken as ${safe}`);
    return safe;
  }

  /**
   * The same where nothing is safe: the resource becomes unusable, and the first name stands in.
   */
  required<Name extends string>(
    names: readonly [Name, ...Name[]],
    number: number,
    what: string,
  ): Name {
    const name = names[number];
    if (name !== undefined) return name;
    this.#unusable ??= `unknown ${what} ${number}`;
    this.#unknown.push(`unknown ${what} ${number}: it is not used`);
    return names[0];
  }

  /** To be spread into the resource. */
  get unusable(): { readonly unusable?: string } {
    return this.#unusable === undefined ? {} : { unusable: this.#unusable };
  }

  /** To be spread beside the resource. */
  get notUnderstood(): { readonly notUnderstood?: readonly string[] } {
    return this.#unknown.length === 0 ? {} : { notUnderstood: this.#unknown };
  }
}
