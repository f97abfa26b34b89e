/** The whole bundle, as scripts/build.mjs wraps it; not there where src/ is run as it is. */
declare const certlessBundle: (() => unknown) | undefined;
