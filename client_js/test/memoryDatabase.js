/** The part of IndexedDB that the client uses, in memory: for tabs that share it in Node.js. */

const requestOf = (result, begin) => {
  const request = { result };
  queueMicrotask(() => {
    begin?.(request);
    request.onsuccess?.();
  });
  return request;
};

export function memoryDatabase() {
  /** @type {Map<string, Map<string, unknown>>} */
  const databases = new Map();
  const storeOf = (values) => ({
    get: (key) => requestOf(structuredClone(values.get(key))),
    put: (value, key) => requestOf(values.set(key, structuredClone(value)) && undefined),
    delete: (key) => requestOf(values.delete(key) && undefined),
    getAllKeys: () => requestOf([...values.keys()]),
    count: () => requestOf(values.size),
    clear: () => requestOf(values.clear()),
  });
  return {
    open(name) {
      if (!databases.has(name)) databases.set(name, new Map());
      const objectStore = () => storeOf(databases.get(name));
      return requestOf({ transaction: () => ({ objectStore }), close: () => {} });
    },
  };
}
