/** The files of spec/vectors, and the published test keys there. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { decodeBytes } from '../src/common/codec.js';
import { RemoteProtocolError } from '../src/common/errors.js';

const FOLDER = new URL('../../spec/vectors/', import.meta.url);

/** @param {string} name */
const load = (name) => JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8'));

/** The tests of a file, each with its whole input and what its group says (README.md there). */
function read(name) {
  return load(name).groups.flatMap(({ shared, tests, ...group }) =>
    tests.map((one) => ({ ...group, ...one, input: { ...shared, ...one.input } })),
  );
}

const names = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json') && name !== 'keys.json')
  .map((name) => name.slice(0, -'.json'.length))
  .sort();
const isHardened = (name) => name.startsWith('hardened_');

const isOfTheVault = (name) => name.startsWith('vault_');

// No JavaScript code has teams yet.
const isOfTeams = (name) => name.startsWith('team_');

/** The classic suite, and what both suites share. */
export const VECTORS = names
  .filter((name) => !isHardened(name) && !isOfTheVault(name) && !isOfTeams(name) && name !== 'typed_codes')
  .flatMap(read);

export const HARDENED_VECTORS = names.filter(isHardened).flatMap(read);

export const VAULT_VECTORS = names.filter(isOfTheVault).flatMap(read);

export const TYPED_CODES = read('typed_codes');

const { keys } = load('keys');

export const KEY_NAMES = Object.keys(keys);

/** @param {string} name */
export const publicPem = (name) => keys[name].public_key_pem;

/** @param {string} name PKCS#8 DER */
export function privateDer(name) {
  return decodeBytes('base64', keys[name].private_key_pem.replace(/-----.*-----|\s/g, ''));
}

/** @param {string} text */
export const unhex = (text) => decodeBytes('hex', text);

/** Asserts that `outcome` gives what the test of `vector` expects. */
export async function matches({ expect, output }, outcome) {
  if (expect === 'ok') {
    assert.deepEqual(await outcome(), output);
    return;
  }
  await assert.rejects(outcome, (error) => {
    assert.ok(error instanceof RemoteProtocolError, error.stack);
    assert.equal(error.code, expect);
    return true;
  });
}
