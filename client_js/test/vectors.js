/** The folder spec/vectors, and the published test keys in it. */
import { readFileSync, readdirSync } from 'node:fs';
import { decodeBytes } from '../src/common/codec.js';

const FOLDER = new URL('../../spec/vectors/', import.meta.url);

/** @param {string} name */
const load = (name) => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'));

const { keys } = load('keys.json');

export const VECTORS = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json') && name !== 'keys.json')
  .sort()
  .map(load);

export const KEY_NAMES = Object.keys(keys);

/** @param {string} name */
export const publicPem = (name) => keys[name].public_key_pem;

/** @param {string} name PKCS#8 DER */
export function privateDer(name) {
  return decodeBytes('base64', keys[name].private_key_pem.replace(/-----.*-----|\s/g, ''));
}

/** @param {string} text */
export const unhex = (text) => decodeBytes('hex', text);

const HARDENED = new URL('hardened/', FOLDER);

export const HARDENED_VECTORS = readdirSync(HARDENED)
  .filter((name) => name.endsWith('.json'))
  .sort()
  .map((name) => load(`hardened/${name}`));
