/** The whole bundle as scripts/build.mjs wraps it; undefined if src/ runs unbundled. */
declare const certlessBundle: (() => unknown) | undefined;

/** The part of the package that is used here. */
declare module 'ws' {
  export const WebSocket: new (url: string, options: { perMessageDeflate: false; maxPayload: number }) => globalThis.WebSocket;
}
declare const certlessVaultBundle: (() => unknown) | undefined;
declare const certlessIssuingBundle: (() => unknown) | undefined;
