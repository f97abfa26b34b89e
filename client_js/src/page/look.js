/**
 * How the elements look. Colours follow the page's own `color-scheme`: a page that knows no dark
 * look gets no dark boxes. A page changes them by the custom properties of the README.
 */
export const LOOK = `
:host {
  --accent: var(--certless-accent, light-dark(#0b6b5d, #6fd3c0));
  --on-accent: var(--certless-on-accent, light-dark(#fff, #08241f));
  --background: var(--certless-background, light-dark(#fff, #1a211e));
  --text: var(--certless-text, light-dark(#18201d, #e7ece9));
  --soft: var(--certless-soft, light-dark(#56625c, #a0ada7));
  --line: var(--certless-line, light-dark(#cdd4cf, #3b4741));
  --alarm: var(--certless-alarm, light-dark(#a3281e, #ff9b90));
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
