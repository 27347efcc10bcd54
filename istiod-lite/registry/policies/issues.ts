/** Collects what of a policy is not enforced as written. */
import { POLICY_ISSUE_VALUE_CHARACTERS as MAX_LENGTH } from "#istiod-lite/limits.ts";
import type { PolicyCause, PolicyEffect, PolicyIssue } from "./types.ts";

export class Issues {
  readonly list: PolicyIssue[] = [];
  #rule: number | undefined;

  /** The issues that follow belong to this rule of `spec.rules`, or to the whole policy. */
  inRule(rule: number | undefined): void {
    this.#rule = rule;
  }

  add(
    kind: { readonly cause: PolicyCause; readonly effect: PolicyEffect },
    field: string,
    value: unknown,
    message: string,
  ): void {
    this.list.push({
      ...kind,
      ...(this.#rule !== undefined && { rule: this.#rule }),
      field,
      value: abbreviate(value),
      message,
    });
  }
}

function abbreviate(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 3)}...` : text;
}
