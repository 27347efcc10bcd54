/** What is wrong with one rule of a route, and what becomes of the rule. */

export interface RouteIssue {
  readonly rule: number;
  /** E.g. `spec.rules[0].backendRefs[1]`. */
  readonly field: string;
  readonly message: string;
  readonly cause:
    | {
        /** A reference leads nowhere: its share of the requests is answered with 500. */
        readonly kind: "reference";
        /** Source: Gateway API, RouteConditionReason of ResolvedRefs. */
        readonly reason: "RefNotPermitted" | "InvalidKind" | "BackendNotFound";
      }
    /** The rule asks for what cannot be done: its requests are answered with 500. */
    | { readonly kind: "unsupported" }
    /** The rule is in force without this. */
    | { readonly kind: "ignored" };
}

/** Takes what is wrong with the rule that is being converted. */
export class RuleIssues {
  readonly rule: number;
  readonly all: RouteIssue[] = [];

  constructor(rule: number) {
    this.rule = rule;
  }

  add(field: string, message: string, cause: RouteIssue["cause"]): void {
    this.all.push({ rule: this.rule, field: this.field(field), message, cause });
  }

  unsupported(field: string, message: string): void {
    this.add(field, message, { kind: "unsupported" });
  }

  get isUnsupported(): boolean {
    return this.all.some(({ cause }) => cause.kind === "unsupported");
  }

  field(below: string): string {
    return `spec.rules[${this.rule}]${below === "" ? "" : `.${below}`}`;
  }
}
