/**
 * Nominal typing for strings and numbers that have been parsed: a `Brand` can only come from its
 * parser.
 */
export type Brand<Base, Name extends string> = Base & { readonly __brand: Name };
