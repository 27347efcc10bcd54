/** What of an object is not in force as it is written, by field. */
export class Remarks {
  readonly #byField = new Map<string, string>();

  /** Of several remarks on a field the first is kept. */
  add(field: string, message: string): void {
    if (!this.#byField.has(field)) this.#byField.set(field, message);
  }

  /** Remarks on fields that are set. */
  unsupported(fields: Readonly<Record<string, unknown>>, below: string, why = NOT_SUPPORTED): void {
    for (const [field, value] of Object.entries(fields)) {
      if (value !== undefined) this.add(`${below}.${field}`, why);
    }
  }

  get all(): readonly string[] {
    return [...this.#byField].map(([field, message]) => `${field}: ${message}`);
  }
}

const NOT_SUPPORTED = "is not supported and has no effect";
