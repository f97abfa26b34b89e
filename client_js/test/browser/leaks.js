/** Everything in a page that makes a browser load or send something, with addresses at `other`. */
import { once } from 'node:events';
import http from 'node:http';

/** A server at another port, which adds the path of each request and WebSocket to `asked`. @param {string[]} asked */
export const recording = async (asked) => {
  const server = http.createServer(({ url }, response) => {
    asked.push(url);
    response.end();
  });
  server.on('upgrade', ({ url }, socket) => {
    asked.push(url);
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
};

/**
 * By name; the path at `other` is the name. For frames and plugins a browser reports no path: the name is the
 * directive then.
 */
export const elements = (other) => ({
  script: `<script src="${other}/script"></script>`,
  img: `<img src="${other}/img">`,
  srcset: `<img srcset="${other}/srcset 1x">`,
  picture: `<picture><source srcset="${other}/picture"><img></picture>`,
  video: `<video autoplay muted src="${other}/video"></video>`,
  poster: `<video poster="${other}/poster"></video>`,
  audio: `<audio autoplay src="${other}/audio"></audio>`,
  track: `<video src="data:video/mp4,"><track default src="${other}/track"></video>`,
  stylesheet: `<link rel="stylesheet" href="${other}/stylesheet">`,
  preload: `<link rel="preload" as="fetch" href="${other}/preload">`,
  modulepreload: `<link rel="modulepreload" href="${other}/modulepreload">`,
  prefetch: `<link rel="prefetch" href="${other}/prefetch">`,
  import: `<style>@import "${other}/import";</style>`,
  background: `<style>body { background: url(${other}/background) }</style>`,
  font: `<style>@font-face { font-family: f; src: url(${other}/font) } p { font-family: f }</style><p>text`,
  inline: `<p style="background: url(${other}/inline)">text`,
  svgimage: `<svg><image href="${other}/svgimage"/></svg>`,
  svgscript: `<svg><script href="${other}/svgscript"></script></svg>`,
  input: `<input type="image" src="${other}/input">`,
  table: `<table background="${other}/table"><tr><td>text</table>`,
  slashes: `<img src="\\\\${other.slice(7)}/slashes">`,
  reference: `<img src="ht&#116;p:${other.slice(5)}/reference">`,
  lines: `<img src="ht\ntp:${other.slice(5)}/lines">`,
  ping: `<a id="pinged" href="#a" ping="${other}/ping">a</a><script>pinged.click()</script>`,
  beacon: `<script>navigator.sendBeacon('${other}/beacon', 'secret')</script>`,
  fetch: `<script>fetch('${other}/fetch', { mode: 'no-cors', keepalive: true }).catch(() => {})</script>`,
  xhr: `<script>{ const sent = new XMLHttpRequest(); sent.open('GET', '${other}/xhr'); sent.send() }</script>`,
  events: `<script>new EventSource('${other}/events')</script>`,
  socket: `<script>try { new WebSocket('ws:${other.slice(5)}/socket') } catch {}</script>`,
  dynamic: `<script>import('${other}/dynamic').catch(() => {})</script>`,
  'frame-src': `<iframe src="${other}/frame"></iframe>`,
  'object-src': `<embed src="${other}/embed"><object data="${other}/object"></object>`,
  dataframe: `<iframe src="data:text/html,${encodeURIComponent(inner(`<img src="${other}/dataframe">`))}"></iframe>`,
  srcdoc: `<iframe srcdoc='${inner(`<img src="${other}/srcdoc">`)}'></iframe>`,
  blank: `<iframe id="blanked"></iframe><script>blanked.contentDocument.write(${JSON.stringify(inner(`<img src="${other}/blank">`)).replaceAll('/', '\\/')})</script>`,
  blob: `<script>{ const frame = document.createElement('iframe'); frame.src = URL.createObjectURL(new Blob([${JSON.stringify(inner(`<img src="${other}/blob">`)).replaceAll('/', '\\/')}], { type: 'text/html' })); document.documentElement.append(frame) }</script>`,
});

const REPORTS = `<script>addEventListener('securitypolicyviolation', (event) => top.postMessage([event.blockedURI, event.effectiveDirective], '*'))</script>`;

/** A document in a frame. */
function inner(html) {
  return `<!doctype html>${REPORTS.replaceAll("'", '`')}${html}`;
}

/** The page. `window.blocked` collects the names that its policy has refused. */
export const leakingPage = (html) =>
  `<!doctype html><title>leaks</title><script>window.blocked = []; onmessage = ({ data: [uri, directive] }) => blocked.push((/^\\w+:\\/\\/[^/]+\\/([^?]+)/.exec(uri) ?? [])[1] ?? directive)</script>${REPORTS}${html}`;

/** A form in a frame that may do nothing but run scripts and send forms. Under load a report can be missing, so it tries on. */
export const sandboxed = (other) =>
  `<iframe sandbox="allow-scripts allow-forms" srcdoc='${inner(`<form method="post" action="${other}/sandboxed"></form><script>setInterval(() => document.forms[0].submit(), 100)</script>`)}'></iframe>`;

/** In the page: whether all names are among the refused. */
export const areBlocked = (names) => names.every((name) => globalThis.blocked.includes(name));

/** A form that sends a secret to `action`. */
export const form = (action, more = '') =>
  leakingPage(`<form method="post" action="${action}"><input name="password" value="secret"><button ${more}>Send</button></form>`);

/** For a worker of any kind: tries everything, then `tell`s how often it was refused. */
export const workerScript = (other, tell) => `
  const tries = [
    () => fetch('${other}/worker', { mode: 'no-cors' }),
    () => fetch('${other}/worker', { mode: 'no-cors', method: 'POST', body: 'secret' }),
    () => importScripts('${other}/imported'),
    () => new Promise((resolve, reject) => {
      const socket = new WebSocket('ws:${other.slice(5)}/socket');
      socket.onopen = resolve;
      socket.onerror = reject;
    }),
  ];
  const refused = Promise.all(tries.map(async (one) => {
    try { await one(); return false } catch { return true }
  }));
  ${tell}
`;
