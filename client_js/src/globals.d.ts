/** The whole bundle as scripts/build.mjs wraps it; undefined if src/ runs unbundled. */
declare const certlessBundle: (() => unknown) | undefined;
