/** Messages as a server reads and writes them: the opposite direction of src/protocol/messages.js. */
import { MalformedMessage } from '../../src/common/errors.js';
import {
  AuthenticateRequest,
  HttpRequest,
  SealedMessage,
  SealedRequest,
  SessionRequest,
  bodyMembers,
  optionalTextMember,
  parseFieldLines,
  parseHeaderPairs,
  textMember,
} from '../../src/protocol/messages.js';
import { parseMsgpack } from '../../src/protocol/msgpack.js';
import { parseLength } from '../../src/protocol/streams/bodies.js';
import { parseProtocols, parseRecordLimit } from '../../src/protocol/streams/opening.js';

export const parseSessionRequest = (members, names) => new SessionRequest(textMember(members, names.username));

export function parseAuthenticateRequest(members, names) {
  const [token, payload] = [textMember(members, names.token), textMember(members, names.payload)];
  return new AuthenticateRequest(token, payload, optionalTextMember(members, names.iv));
}

export const parseSealedRequest = (members, names) =>
  new SealedRequest(textMember(members, names.token), SealedMessage.parse(members, names));

/** The request inside a hardened message (PROTOCOL §2.6.3). */
export function parseRequestArray(value) {
  if (!Array.isArray(value) || value.length !== 4) {
    throw new MalformedMessage('a request is method, target, headers and body');
  }
  const [method, path, headers, body] = value;
  if (typeof method !== 'string' || typeof path !== 'string' || !(body instanceof Uint8Array)) {
    throw new MalformedMessage('method and target must be strings, the body bytes');
  }
  const line = HttpRequest.parse({ method, path });
  return new HttpRequest(line.method, line.target, parseHeaderPairs(headers), body);
}

/** A stream request (PROTOCOL §2.10.1). */
export function parseStreamRequest(data) {
  const value = parseMsgpack(data);
  if (!Array.isArray(value) || value.length !== 5) {
    throw new MalformedMessage('a stream request is method, target, headers, length and record_bytes');
  }
  const [method, path, headers, length, recordBytes] = value;
  const line = parseRequestArray([method, path, [], new Uint8Array()]);
  return {
    method: line.method,
    target: line.target,
    headers: parseFieldLines(headers),
    length: parseLength(length),
    recordBytes: parseRecordLimit(recordBytes),
  };
}

/** A socket request (PROTOCOL §2.11.1). */
export function parseSocketRequest(data) {
  const value = parseMsgpack(data);
  if (!Array.isArray(value) || value.length !== 4) {
    throw new MalformedMessage('a socket request is target, headers, protocols and record_bytes');
  }
  const [path, headers, protocols, recordBytes] = value;
  return {
    target: parseRequestArray(['GET', path, [], new Uint8Array()]).target,
    headers: parseFieldLines(headers),
    protocols: parseProtocols(protocols),
    recordBytes: parseRecordLimit(recordBytes),
  };
}

/** The response inside a hardened message (PROTOCOL §2.6.3). */
export const responseArray = ({ status, headers, body }) => [status, headers, body];

/** The response inside a classic message (PROTOCOL §3.5.2). */
export const serializeResponse = ({ status, headers, body }) => ({ status, headers, ...bodyMembers(body) });
