/** The version of the project: of all programs, and of package.json (a test compares them). */
export const VERSION = "0.1.0";
