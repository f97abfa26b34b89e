/**
 * Every message of the classic suite (PROTOCOL §3.3 to §3.6).
 *
 * `parse` reads an outer JSON object or throws MalformedMessage; `serialize` returns the object. Only own
 * members are read, so a name like `constructor` finds nothing. The module is long because it has all of them.
 */
import { decodeBytes, encodeBytes, isJsonObject, serializeJson, utf8, utf8Text } from '../common/codec.js';
import { MalformedMessage } from '../common/errors.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../common/codec.js').JsonObject} JsonObject */
/** @typedef {import('../common/codec.js').JsonValue} JsonValue */
/**
 * The names of members on the wire; a dialect chooses them (PROTOCOL §3.2.4).
 * @typedef {'username' | 'token' | 'key' | 'payload' | 'iv' | 'publicKey' | 'timestamp' | 'nonce'
 *   | 'password' | 'request' | 'response'} FieldName
 * @typedef {Readonly<Record<FieldName, string>>} FieldNames
 */
/** @typedef {import('./msgpack.js').MsgpackValue} MsgpackValue */
/** @typedef {[name: string, value: string]} Header */

const MAX_TARGET_CHARS = 8192;
const MAX_METHOD_CHARS = 64;
const MAX_HEADERS = 128;
const MAX_HEADER_CHARS = 65_536;

const HTTP_TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Whether `text` is a token of HTTP (RFC 9110 §5.6.2). @param {string} text */
export const isToken = (text) => HTTP_TOKEN.test(text);

const HEADER_VALUE = /^[^\x00-\x08\x0a-\x1f\x7f]*$/;
const TARGET = /^\/(?!\/)[^\x00-\x20\x7f#\\]*$/;
const NOT_IN_A_TARGET = /[^A-Za-z0-9/?%!$&'()*+,;=:@\-._~[\]]/gu;
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f]/;
const REFUSED_METHODS = ['CONNECT', 'TRACE'];

/**
 * @param {JsonObject} members
 * @param {string} name
 * @returns {JsonValue | undefined}
 */
export function member(members, name) {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}

/**
 * @param {JsonObject} members
 * @param {string} name
 */
export function textMember(members, name) {
  const value = member(members, name);
  if (typeof value !== 'string') throw new MalformedMessage(`member '${name}' must be a string`);
  return value;
}

/**
 * @param {JsonObject} members
 * @param {string} name
 */
export function optionalTextMember(members, name) {
  return (member(members, name) ?? null) === null ? null : textMember(members, name);
}

/**
 * @param {JsonObject} members
 * @param {string} name
 * @param {string | null} iv
 */
function withIv(members, name, iv) {
  return iv === null ? members : { ...members, [name]: iv };
}

/** C->S: the username. The only plaintext of the protocol (PROTOCOL §3.3.1). */
export class SessionRequest {
  /** @param {string} username */
  constructor(username) {
    this.username = username;
  }

  /** @param {FieldNames} names @returns {JsonObject} */
  serialize(names) {
    return { [names.username]: this.username };
  }
}

/** S->C: the token of the future session (PROTOCOL §3.3.1). */
export class SessionGrant {
  /** @param {string} token */
  constructor(token) {
    this.token = token;
  }

  /** @param {JsonObject} members @param {FieldNames} names */
  static parse(members, names) {
    return new SessionGrant(textMember(members, names.token));
  }
}

/** C->S: a payload that is encrypted with the code (PROTOCOL §3.3.2). */
export class AuthenticateRequest {
  /** @param {string} token @param {string} payload @param {string | null} iv */
  constructor(token, payload, iv) {
    this.token = token;
    this.payload = payload;
    this.iv = iv;
  }

  /** @param {FieldNames} names @returns {JsonObject} */
  serialize(names) {
    return withIv({ [names.token]: this.token, [names.payload]: this.payload }, names.iv, this.iv);
  }
}

/** A wrapped passphrase and the payload that it encrypts, as text (PROTOCOL §3.4). */
export class SealedMessage {
  /** @param {string} key @param {string} payload @param {string | null} iv */
  constructor(key, payload, iv) {
    this.key = key;
    this.payload = payload;
    this.iv = iv;
  }

  /** @param {JsonObject} members @param {FieldNames} names */
  static parse(members, names) {
    const [key, payload] = [textMember(members, names.key), textMember(members, names.payload)];
    return new SealedMessage(key, payload, optionalTextMember(members, names.iv));
  }

  /** @param {FieldNames} names @returns {JsonObject} */
  serialize(names) {
    return withIv({ [names.key]: this.key, [names.payload]: this.payload }, names.iv, this.iv);
  }
}

/** C->S: the session's token and a sealed message (PROTOCOL §3.4). */
export class SealedRequest {
  /** @param {string} token @param {SealedMessage} sealed */
  constructor(token, sealed) {
    this.token = token;
    this.sealed = sealed;
  }

  /** @param {FieldNames} names @returns {JsonObject} */
  serialize(names) {
    return { [names.token]: this.token, ...this.sealed.serialize(names) };
  }
}

/**
 * Header fields from an object or a list of pairs, validated, in the same order.
 * @param {JsonValue | undefined} value
 * @returns {Header[]}
 */
function parseHeaders(value) {
  if (value === undefined || value === null) return [];
  return parseHeaderPairs(isJsonObject(value) ? Object.entries(value) : value);
}

/**
 * @param {unknown} pairs
 * @returns {Header[]}
 */
export function parseHeaderPairs(pairs) {
  if (!Array.isArray(pairs)) throw new MalformedMessage('headers must be a list of pairs');
  if (pairs.length > MAX_HEADERS) throw new MalformedMessage('too many headers');
  let left = MAX_HEADER_CHARS;
  return pairs.map((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw new MalformedMessage('a header must be a pair of name and value');
    }
    const [name, content] = pair;
    if (typeof name !== 'string' || typeof content !== 'string') {
      throw new MalformedMessage("a header's name and value must be strings");
    }
    // A character has at most two UTF-16 units.
    const isLonger = (name.length + content.length) / 2 > left;
    left -= isLonger ? Infinity : name.length + [...content].length;
    if (left < 0) throw new MalformedMessage(`headers have more than ${MAX_HEADER_CHARS} characters`);
    if (!isToken(name)) throw new MalformedMessage('a header name is not valid');
    if (!HEADER_VALUE.test(content)) throw new MalformedMessage('a header value is not valid');
    return [name, content];
  });
}

/**
 * The bytes of a body, and whether the body was a JSON value.
 * @param {JsonObject} members
 * @returns {{ body: Bytes, isJson: boolean }}
 */
function parseBody(members) {
  const body = member(members, 'body') ?? null;
  const encoding = member(members, 'encoding') ?? null;
  if (encoding !== null && encoding !== 'utf8' && encoding !== 'base64') {
    throw new MalformedMessage('encoding must be utf8 or base64');
  }
  if (body === null) return { body: new Uint8Array(), isJson: false };
  if (encoding === 'base64') {
    if (typeof body !== 'string') throw new MalformedMessage('a base64 body must be a string');
    const raw = decodeBytes('base64', body);
    if (raw === null) throw new MalformedMessage('body is not base64');
    return { body: raw, isJson: false };
  }
  if (typeof body === 'string') return { body: utf8(body), isJson: false };
  return { body: serializeJson(body), isJson: true };
}

/**
 * @param {Uint8Array} body
 * @returns {JsonObject}
 */
export function bodyMembers(body) {
  // JSON needs six characters for a control character, so base64 is shorter.
  const content = utf8Text(body);
  if (content !== null && !CONTROL.test(content)) return { body: content };
  return { body: encodeBytes('base64', body), encoding: 'base64' };
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
function isStatus(value) {
  return typeof value === 'number' && Number.isInteger(value) && value >= 200 && value <= 599;
}

/** @param {unknown} value @returns {number} @throws {MalformedMessage} */
export function parseStatus(value) {
  if (!isStatus(value)) throw new MalformedMessage('status must be from 200 to 599');
  return value;
}

/**
 * Header fields whose values are bytes, as text of U+0000 to U+00FF.
 * @param {unknown} pairs
 * @returns {Header[]}
 * @throws {MalformedMessage}
 */
export function parseFieldLines(pairs) {
  const headers = parseHeaderPairs(pairs);
  if (headers.some(([, value]) => /[^\0-\xff]/.test(value))) {
    throw new MalformedMessage('a header value holds a character above U+00FF');
  }
  return headers;
}

/** The whole request inside a sealed message (PROTOCOL §1.8). */
export class HttpRequest {
  /**
   * @param {string} method
   * @param {string} target origin form (path and query), ASCII
   * @param {Header[]} headers
   * @param {Bytes} body
   */
  constructor(method, target, headers, body) {
    this.method = method;
    this.target = target;
    this.headers = headers;
    this.body = body;
  }

  /** @param {JsonValue | undefined} value */
  static parse(value) {
    if (!isJsonObject(value)) throw new MalformedMessage('request must be an object');
    const method = Object.hasOwn(value, 'method') ? textMember(value, 'method') : 'GET';
    const isMethod = method.length <= MAX_METHOD_CHARS && isToken(method);
    if (!isMethod || REFUSED_METHODS.includes(method.toUpperCase())) {
      throw new MalformedMessage('method is not valid');
    }
    const path = textMember(value, 'path');
    if ([...path].length > MAX_TARGET_CHARS || !TARGET.test(path)) {
      throw new MalformedMessage('path must start with one slash and hold no space or #');
    }
    const headers = parseHeaders(member(value, 'headers'));
    const { body, isJson } = parseBody(value);
    if (isJson && !headers.some(([name]) => name.toLowerCase() === 'content-type')) {
      headers.push(['Content-Type', 'application/json']);
    }
    // Characters outside ASCII are percent-encoded as UTF-8; existing percent-encoding is kept.
    const target = path.replace(NOT_IN_A_TARGET, encodeURIComponent);
    return new HttpRequest(method.toUpperCase(), target, headers, body);
  }

  /** @returns {MsgpackValue[]} */
  toArray() {
    return [this.method, this.target, this.headers, this.body];
  }

  /** @returns {JsonObject} */
  serialize() {
    const { method, target: path, headers, body } = this;
    return { method, path, headers, ...bodyMembers(body) };
  }
}

/** The whole response inside a sealed message (PROTOCOL §1.8). */
export class HttpResponse {
  /** @param {number} status @param {Header[]} headers @param {Bytes} body */
  constructor(status, headers, body) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }

  /** @param {JsonValue | undefined} value */
  static parse(value) {
    if (!isJsonObject(value)) throw new MalformedMessage('response must be an object');
    const status = member(value, 'status');
    if (!isStatus(status)) throw new MalformedMessage('status must be from 200 to 599');
    return new HttpResponse(status, parseHeaders(member(value, 'headers')), parseBody(value).body);
  }

  /**
   * As the hardened suites write it (PROTOCOL §2.6.3).
   * @param {MsgpackValue} value
   * @throws {MalformedMessage}
   */
  static parseArray(value) {
    if (!Array.isArray(value) || value.length !== 3) {
      throw new MalformedMessage('a response is status, headers and body');
    }
    const [status, headers, body] = value;
    if (!isStatus(status) || !(body instanceof Uint8Array)) {
      throw new MalformedMessage('status must be from 200 to 599, the body bytes');
    }
    return new HttpResponse(status, parseHeaderPairs(headers), body);
  }
}
