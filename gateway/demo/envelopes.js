// The members of a message's body, which anyone on the network can read without a key (PROTOCOL
// §2.3, §2.6.1). Bytes are shown in hex for msgpack, and as the base64 in JSON.

// Marks omitted bytes. No byte is shown as this character.
export const GAP = '\u0000';

const SUITES = ['', 'ecdh-gcm', 'rsa-gcm'];
const KINDS = ['', 'request', 'response', 'refusal'];

// SHA-256 of the empty string: in the header of a message without a wrapped key.
const NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const fromBase64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

/** Reads the types that clients write: maps, lists, texts, bytes, and numbers from 0. */
class MsgpackReader {
  #bytes;
  #view;
  #at = 0;
  #cut;

  /** `cut` is the position of omitted bytes, which is inside the last value. */
  constructor(bytes, cut) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#cut = cut;
  }

  /** The members of a map, as pairs of name and value; bytes in hex. */
  members() {
    const first = this.#unsigned(1);
    if ((first & 0xf0) !== 0x80 && first !== 0xde) throw new RangeError('not a map');
    const count = first === 0xde ? this.#unsigned(2) : first & 15;
    return Array.from({ length: count }, () => [this.#value(), this.#value()]);
  }

  #value() {
    const first = this.#unsigned(1);
    if (first < 0x80) return first;
    if ((first & 0xf0) === 0x90) return Array.from({ length: first & 15 }, () => this.#value());
    if ((first & 0xe0) === 0xa0) return this.#text(first & 31);
    if (first >= 0xc4 && first <= 0xc6) return this.#hex(this.#unsigned(2 ** (first - 0xc4)));
    if (first >= 0xcc && first <= 0xcf) return this.#unsigned(2 ** (first - 0xcc));
    if (first >= 0xd9 && first <= 0xdb) return this.#text(this.#unsigned(2 ** (first - 0xd9)));
    throw new RangeError('an unknown type');
  }

  #unsigned(size) {
    let value = 0;
    for (let place = 0; place < size; place += 1) value = value * 256 + this.#view.getUint8(this.#at++);
    return value;
  }

  #text(length) {
    return new TextDecoder().decode(this.#take(length)[0]);
  }

  #hex(length) {
    return this.#take(length).map(hex).join(GAP);
  }

  /** The next `length` bytes; if some were omitted, those before and those after the cut. */
  #take(length) {
    const from = this.#at;
    const to = from + length;
    this.#at = to;
    if (this.#cut >= from && to > this.#cut) {
      this.#at = this.#bytes.length;
      return [this.#bytes.subarray(from, this.#cut), this.#bytes.subarray(this.#cut)];
    }
    if (to > this.#bytes.length) throw new RangeError('not enough bytes');
    return [this.#bytes.subarray(from, to)];
  }
}

/** The header of a sealed message, which is authenticated but readable; null if it is none. */
function headerOf(bytes) {
  const magic = String.fromCharCode(...bytes.subarray(0, 3));
  if (magic !== 'CG1' || (bytes.length !== 67 && bytes.length !== 83)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const value = Number(view.getBigUint64(27));
  const fields = [
    ['magic', magic],
    ['suite', SUITES[view.getUint16(3)] ?? `${view.getUint16(3)}`],
    ['kind', KINDS[view.getUint8(5)] ?? `${view.getUint8(5)}`],
    ['epoch', `${view.getUint32(6)}`],
    ['sid', hex(bytes.subarray(10, 26))],
    bytes[26] === 1 ? ['time', new Date(value).toISOString()] : ['number', `${value}`],
    ['wrapped hash', wrappedHash(hex(bytes.subarray(35, 67)))],
  ];
  return bytes.length === 67 ? fields : [...fields, ['answers', hex(bytes.subarray(67))]];
}

const wrappedHash = (text) => (text === NOTHING ? 'empty: this suite wraps no key' : text);

const fromHex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

/**
 * The members of a hardened message, in their order: `{ name, text, isField }`; the parts of its
 * header are fields. null if the body is not such a message.
 * @param body `{ bytes, cut, type }`: `cut` is the position of omitted bytes or -1, `type` the Content-Type
 */
export function membersOf({ bytes, cut, type }) {
  const isMsgpack = type === 'application/msgpack';
  try {
    const members = isMsgpack ? new MsgpackReader(bytes, cut).members() : jsonMembers(bytes, cut);
    return members.flatMap(([name, value]) => {
      const fields = name === 'header' ? headerOf((isMsgpack ? fromHex : fromBase64)(value)) : null;
      if (fields) return [{ name, text: '' }, ...fields.map(([field, text]) => ({ name: field, text, isField: true }))];
      return [{ name, text: `${Array.isArray(value) ? value.join(', ') : value}` }];
    });
  } catch {
    return null;
  }
}

/** The middle of its last text can be omitted. The sid is shown in hex, as for msgpack. */
function jsonMembers(bytes, cut) {
  const parts = cut < 0 ? [bytes] : [bytes.subarray(0, cut), bytes.subarray(cut)];
  const text = parts.map((part) => new TextDecoder().decode(part)).join('\\u0000');
  return Object.entries(JSON.parse(text)).map(([name, value]) => [name, name === 'sid' ? hex(fromBase64(value)) : value]);
}
