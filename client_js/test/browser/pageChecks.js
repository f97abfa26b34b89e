/** Checks of a page: contrast of all texts, and names for screen readers. */

/** Runs in the page: each visible text with its colour and the one behind it, as they are painted. */
export function texts() {
  const pixel = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const painted = (colour) => {
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = colour;
    pixel.fillRect(0, 0, 1, 1);
    return [...pixel.getImageData(0, 0, 1, 1).data];
  };
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = painted(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return painted('Canvas');
  };
  return [...document.body.querySelectorAll('*')]
    .filter((one) => one.checkVisibility() && [...one.childNodes].some(({ nodeType, data }) => nodeType === Node.TEXT_NODE && data.trim()))
    .map((one) => ({ text: one.textContent.trim().slice(0, 40), front: painted(getComputedStyle(one).color), back: behind(one) }));
}

/** Runs in the page: the controls without a name. */
export function unnamed() {
  return [...document.querySelectorAll('a, button, input, textarea, select, summary, dialog, section')]
    .filter((one) => !(one.ariaLabel || one.ariaLabelledByElements?.length || [...(one.labels ?? [])].some((label) => label.textContent.trim()) || one.textContent.trim()))
    .map((one) => one.outerHTML.slice(0, 120));
}

/** @param {number[]} rgb */
export const luminance = (rgb) => {
  const [red, green, blue] = rgb.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};

/** @param {number[]} one RGB or RGBA @param {number[]} other */
export function contrast(one, other) {
  const [dark, light] = [one, other].map((colour) => luminance(colour.slice(0, 3))).sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}
