/**
 * The styles of the elements. Colours follow the page's `color-scheme`, so a page without a dark scheme
 * gets no dark boxes. A page can change them with the custom properties in the README.
 */

/**
 * Each colour for light pages, for dark pages, and for browsers without `light-dark()` (before 2024). These
 * browsers have the page's scheme only in the system colours.
 * @type {Record<string, [string, string, string]>}
 */
const COLOURS = {
  accent: ['#0b6b5d', '#6fd3c0', 'color-mix(in srgb, #0b8f7c, CanvasText 40%)'],
  'on-accent': ['#fff', '#08241f', 'Canvas'],
  background: ['#fff', '#1a211e', 'Canvas'],
  text: ['#18201d', '#e7ece9', 'CanvasText'],
  soft: ['#56625c', '#a0ada7', 'color-mix(in srgb, CanvasText 65%, Canvas)'],
  line: ['#cdd4cf', '#3b4741', 'color-mix(in srgb, CanvasText 22%, Canvas)'],
  alarm: ['#a3281e', '#ff9b90', 'color-mix(in srgb, #e0392b, CanvasText 45%)'],
};

/**
 * A rule that sets these colours as custom properties on the elements of `selector`.
 * @param {string} selector
 * @param {string} prefix for the property names
 * @param {string[]} names
 */
function colours(selector, prefix, names) {
  /** @param {(colour: [string, string, string]) => string} choose */
  const rule = (choose) =>
    `${selector} { ${names.map((name) => `--${prefix}${name}: var(--certless-${name}, ${choose(COLOURS[name])})`).join('; ')} }`;
  const scheme = rule(([light, dark]) => `light-dark(${light}, ${dark})`);
  return `${rule(([, , system]) => system)} @supports (color: light-dark(red, red)) { ${scheme} }`;
}

export const BASE_STYLES = `
${colours(':host', '', Object.keys(COLOURS))}
:host {
  --radius: var(--certless-radius, .5rem);
  color: var(--text);
  font: var(--certless-font, 1rem/1.5 system-ui, sans-serif);
  text-align: start;
}
:host([hidden]), [hidden] { display: none !important }
*, ::before, ::after { box-sizing: border-box }
p { margin: 0 }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
@media (forced-colors: active) { button, input { border: 1px solid } }
`;

/** `<certless-login>`. */
export const LOGIN_STYLES = `
:host { display: block; max-width: 28rem; margin-block: .75rem; overflow-wrap: anywhere }
[part=box] {
  display: grid; gap: 1rem; padding: clamp(1rem, 5vw, 1.5rem); border: 1px solid var(--line);
  border-radius: calc(var(--radius) * 1.5); background: var(--background);
}
form { display: grid; gap: .5rem; margin: 0 }
label { font-weight: 600 }
input {
  width: 100%; min-height: 2.75rem; padding: .5rem .75rem; border: 1px solid var(--soft);
  border-radius: var(--radius); background: var(--background); color: inherit; font: inherit;
}
input[aria-invalid=true] { border-color: var(--alarm) }
#code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; text-transform: uppercase }
#name { position: absolute; width: 1px; min-height: 0; height: 1px; opacity: 0; pointer-events: none }
.hint { color: var(--soft); font-size: .875em }
[part=error] { color: var(--alarm) }
[part=error]:not(:empty)::before { content: "\\26a0\\fe0e\\2002"; content: "\\26a0\\fe0e\\2002" / "" }
button {
  min-height: 2.75rem; padding: 0 1.25rem; border: 1px solid var(--accent); border-radius: var(--radius);
  background: none; color: var(--accent); font: inherit; font-weight: 600; cursor: pointer;
}
button:hover { filter: brightness(1.1) }
[part=button] { margin-top: .5rem; background: var(--accent); color: var(--on-accent) }
.more { display: flex; flex-wrap: wrap; gap: 0 1.25rem }
.more button {
  min-height: 2.25rem; padding: 0; border: 0; border-radius: 2px; font-size: .9375em; font-weight: 400;
  text-decoration: underline; text-underline-offset: .2em;
}
button[aria-disabled=true] { opacity: .6; cursor: default; filter: none }
.more button[aria-disabled=true] { color: var(--soft); opacity: 1; text-decoration: none }
progress { width: 100%; accent-color: var(--accent) }
.who [tabindex]:focus { outline: none } /* only read out, never pressed */
.who { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .75rem 1rem }
.announced { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
`;

/** `<certless-badge>`. */
export const BADGE_STYLES = `
:host { display: inline-block; position: relative; max-width: 100%; margin-block: .25rem; overflow-wrap: anywhere }
[part=badge] {
  display: inline-flex; align-items: center; gap: .5rem; max-width: 100%; padding: .125rem .25rem .125rem .75rem; cursor: pointer;
  border: 1px solid var(--line); border-radius: 1.25rem; background: var(--background); font-size: .875em;
}
[role=status] { display: inline-flex; align-items: center; gap: .5rem }
svg {
  flex: none; width: 1.125em; height: 1.125em; fill: none;
  stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round;
}
.ready svg { color: var(--accent) }
.expired svg, .renewing svg { color: var(--alarm) }
button {
  flex: none; width: 1.75rem; height: 1.75rem; padding: 0; border: 1px solid transparent; border-radius: 50%;
  background: none; color: var(--soft); font: inherit; font-weight: 600; cursor: pointer;
}
button:hover, button[aria-expanded=true] { border-color: var(--line); color: var(--text) }
[part=panel] {
  position: absolute; z-index: 10; inset-block-start: calc(100% + .375rem); inset-inline-start: 0; width: max-content;
  max-width: min(22rem, calc(100vw - 1rem)); padding: .75rem 1rem; border: 1px solid var(--line);
  border-radius: var(--radius); background: var(--background); box-shadow: 0 .25rem 1rem rgb(0 0 0 / .15);
  font-size: .875em;
}
`;

/** Rules for the page itself. Every rule of the page overrides them; an answer does not exceed its page. */
export const PAGE_STYLES = `
${colours(':where([data-certless-shown])', 'certless-shown-', ['alarm', 'line'])}
:where(dialog.certless-dialog) {
  max-width: calc(100vw - 2rem); padding: 0; border: 0; border-radius: .75rem; background: none;
}
:where(dialog.certless-dialog)::backdrop { background: rgb(0 0 0 / .5) }
:where([data-certless-shown]) { display: block; max-width: 100%; margin-block: .75rem; overflow-wrap: anywhere }
:where([data-certless-shown]:empty) { margin-block: 0 }
:where([data-certless-error]) {
  padding-inline-start: .75rem; border-inline-start: .25rem solid var(--certless-shown-alarm);
}
:where([data-certless-shown] :is(p, pre)) { margin-block: .25rem }
:where([data-certless-shown] pre) { white-space: pre-wrap }
:where([data-certless-shown] img) { max-width: 100%; height: auto }
:where([data-certless-shown] iframe) { width: 100%; border: 1px solid var(--certless-shown-line) }
`;
