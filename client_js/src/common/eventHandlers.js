/** The attributes `onopen`, `onmessage` and so on, as HTML has them. */

/**
 * The place of a handler among the listeners is that of its first assignment after null.
 * @param {EventTarget} target
 * @param {string[]} types
 */
export function addEventHandlers(target, types) {
  for (const type of types) {
    /** @type {any} */
    let handler = null;
    const listener = (/** @type {Event} */ event) => handler.call?.(target, event);
    Object.defineProperty(target, `on${type}`, {
      enumerable: true,
      get: () => handler,
      set(value) {
        handler = Object(value) === value ? value : null;
        if (handler) target.addEventListener(type, listener);
        else target.removeEventListener(type, listener);
      },
    });
  }
}
