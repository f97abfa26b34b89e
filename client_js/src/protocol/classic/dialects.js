/**
 * The Node dialects, as data (PROTOCOL §3.2).
 *
 * A dialect defines the names and formats on the wire that differ between the Node programs which use
 * this protocol. `DIALECTS` has the published dialects; `derive` creates a custom one.
 */

/** @typedef {import('../../common/codec.js').TextEncoding} TextEncoding */
/** @typedef {'ctr' | 'cbc' | 'gcm'} AesMode */
/** @typedef {'md5hex' | 'as-is'} CodePassphrase */
/** @typedef {'evp-bytes-to-key' | 'md5hex' | 'raw'} KeyDerivation */
/** @typedef {import('../../primitives/contract.js').RsaPadding} RsaPadding */
/** @typedef {'last' | 'first'} TagPlace the position of the GCM tag: after the ciphertext, or before it */
/** @typedef {'ms' | 's' | 'iso8601'} TimestampFormat */

/** The names of members on the wire (PROTOCOL §3.2.4). @type {FieldNames} */
const FIELD_NAMES = {
  username: 'username',
  token: 'token',
  key: 'key',
  payload: 'payload',
  iv: 'iv',
  publicKey: 'publicKey',
  timestamp: 'timestamp',
  nonce: 'nonce',
  password: 'password',
  request: 'request',
  response: 'response',
};

/** The routes below the prefix (PROTOCOL §5.5). */
const PATHS = {
  session: '/session',
  authenticate: '/session/authenticate',
  logout: '/session/logout',
  message: '/message',
};

/** @typedef {import('../messages.js').FieldNames} FieldNames */
/** @typedef {Readonly<typeof PATHS>} Paths */

/**
 * One variant of the classic suite (PROTOCOL §3.2.1).
 * @typedef {Readonly<{
 *   name: string,
 *   aes: AesMode,
 *   codePassphrase: CodePassphrase,
 *   keyDerivation: KeyDerivation,
 *   rsaPadding: RsaPadding,
 *   tag: TagPlace,
 *   encoding: TextEncoding,
 *   timestamp: TimestampFormat,
 *   names: FieldNames,
 *   paths: Paths,
 * }>} Dialect
 */

/**
 * Changes to a base dialect; `names` and `paths` may be partial.
 * @typedef {Partial<Omit<Dialect, 'name' | 'names' | 'paths'>>
 *   & { names?: Partial<FieldNames>, paths?: Partial<Paths> }} DialectChanges
 */

/** @type {Record<string, readonly string[]>} */
const CHOICES = {
  aes: ['ctr', 'cbc', 'gcm'],
  codePassphrase: ['md5hex', 'as-is'],
  keyDerivation: ['evp-bytes-to-key', 'md5hex', 'raw'],
  rsaPadding: ['pkcs1-v1.5', 'oaep-sha1', 'oaep-sha256'],
  tag: ['last', 'first'],
  encoding: ['base64', 'hex'],
  timestamp: ['ms', 's', 'iso8601'],
};

/**
 * @param {Dialect} dialect
 * @returns {Dialect}
 */
function checked(dialect) {
  for (const [name, choices] of Object.entries(CHOICES)) {
    if (!choices.includes(/** @type {Record<string, any>} */ (dialect)[name])) {
      throw new TypeError(`${name} must be one of: ${choices.join(', ')}`);
    }
  }
  if (dialect.aes === 'gcm' && dialect.keyDerivation === 'evp-bytes-to-key') {
    throw new TypeError('gcm needs keyDerivation md5hex or raw: its iv is never derived');
  }
  if (dialect.aes !== 'gcm' && dialect.tag === 'first') {
    throw new TypeError('tag first needs aes gcm: no other mode has a tag');
  }
  if (dialect.codePassphrase === 'as-is' && dialect.keyDerivation === 'raw') {
    throw new TypeError('raw keys need codePassphrase md5hex: a code is not 32 characters');
  }
  for (const group of [dialect.names, dialect.paths]) {
    const values = Object.values(group);
    if (new Set(values).size !== values.length || values.some((value) => !value)) {
      throw new TypeError('names and paths must not be empty and must differ');
    }
  }
  if (Object.values(dialect.paths).some((path) => !path.startsWith('/'))) {
    throw new TypeError('paths must start with /');
  }
  Object.freeze(dialect.names);
  Object.freeze(dialect.paths);
  return Object.freeze(dialect);
}

/**
 * @param {string} name
 * @param {AesMode} aes
 * @param {CodePassphrase} codePassphrase
 * @param {KeyDerivation} keyDerivation
 * @param {RsaPadding} rsaPadding
 * @param {TagPlace} [tag]
 * @returns {Dialect}
 */
function published(name, aes, codePassphrase, keyDerivation, rsaPadding, tag = 'last') {
  const common = /** @type {const} */ ({ encoding: 'base64', timestamp: 'ms' });
  const groups = { names: { ...FIELD_NAMES }, paths: { ...PATHS } };
  return checked({ name, aes, codePassphrase, keyDerivation, rsaPadding, tag, ...common, ...groups });
}

export const DEFAULT_DIALECT = 'article-2016';

/** @type {ReadonlyMap<string, Dialect>} */
export const DIALECTS = new Map(
  [
    published('article-2016', 'ctr', 'md5hex', 'evp-bytes-to-key', 'pkcs1-v1.5'),
    published('article-2016-oaep', 'ctr', 'md5hex', 'evp-bytes-to-key', 'oaep-sha1'),
    published('sfet-1.0', 'cbc', 'md5hex', 'evp-bytes-to-key', 'pkcs1-v1.5'),
    published('sfet-1.1', 'cbc', 'md5hex', 'raw', 'pkcs1-v1.5'),
    published('sfet-2', 'cbc', 'as-is', 'md5hex', 'pkcs1-v1.5'),
    published('sfet-3.0', 'cbc', 'as-is', 'md5hex', 'oaep-sha1'),
    published('sfet-3', 'cbc', 'as-is', 'md5hex', 'oaep-sha256'),
    published('sfet-3.3-cbc-browser', 'cbc', 'md5hex', 'raw', 'oaep-sha1'),
    published('sfet-3.3-gcm', 'gcm', 'md5hex', 'raw', 'oaep-sha256', 'first'),
    published('sfet-3.3-gcm-browser', 'gcm', 'md5hex', 'raw', 'oaep-sha1', 'first'),
    published('sfet-4-cbc', 'cbc', 'md5hex', 'raw', 'oaep-sha256'),
    published('sfet-4-gcm', 'gcm', 'md5hex', 'raw', 'oaep-sha256'),
  ].map((dialect) => [dialect.name, dialect]),
);

/**
 * The dialect with this name, or the given dialect itself.
 * @param {string | Dialect} given
 * @returns {Dialect}
 */
export function findDialect(given) {
  // A dialect from a store or a Worker is data, so it is checked like a custom one.
  if (typeof given !== 'string') return derive(given.name, given, {});
  const found = DIALECTS.get(given);
  if (!found) throw new TypeError(`unknown dialect ${given}; known dialects: ${[...DIALECTS.keys()].join(', ')}`);
  return found;
}

/**
 * A copy of `base` with a new name and `changes`.
 * @param {string} name
 * @param {string | Dialect} base
 * @param {DialectChanges} changes
 * @returns {Dialect}
 */
export function derive(name, base, changes) {
  const from = typeof base === 'string' ? findDialect(base) : base;
  const known = [...Object.keys(CHOICES), 'names', 'paths'];
  const unknown = Object.keys(changes).find((one) => !known.includes(one));
  if (unknown) throw new TypeError(`a dialect has no ${unknown}; it has: ${known.join(', ')}`);
  /**
   * @template {Record<string, string>} Group
   * @param {string} group
   * @param {Group} original
   * @param {Partial<Group>} current
   * @param {Partial<Group>} changed
   * @returns {Group}
   */
  const merged = (group, original, current, changed) => {
    const whole = { ...original, ...current, ...changed };
    if (Object.keys(whole).length !== Object.keys(original).length) {
      throw new TypeError(`${group} is a table of: ${Object.keys(original).join(', ')}`);
    }
    if (Object.values(whole).some((value) => typeof value !== 'string')) {
      throw new TypeError(`every value of ${group} must be a string`);
    }
    return whole;
  };
  return checked({
    ...from,
    // Dialects that an earlier version stored have no `tag`.
    tag: from.tag ?? 'last',
    ...changes,
    name,
    names: merged('names', FIELD_NAMES, from.names, changes.names ?? {}),
    paths: merged('paths', PATHS, from.paths, changes.paths ?? {}),
  });
}
