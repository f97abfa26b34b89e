/** The parts of an account that a client makes, and checks before it commits them (VAULT §8, §9). */
import { equal } from '../primitives/hashes.js';
import { WrongSecret } from './core/errors.js';
import { SALT_BYTES, STRONGEST_KDF, passwordSecrets, verifierOf } from './core/password.js';
import { SECRET_BYTES, UnlockSecret, codeOf, readCode } from './core/unlockSecrets.js';
import { unwrap, wrap } from './core/wraps.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./core/account.js').AccountKey} AccountKey */
/** @typedef {import('./core/account.js').Owner} Owner */

/**
 * Shows a new recovery code, and resolves to what the user typed when they were asked to type it back.
 * @typedef {(code: string) => Promise<string>} TypeBack
 */

/**
 * The password with a new salt, and the wrap of `key` under it.
 * @param {Primitives} primitives
 * @param {string} password
 * @param {Owner} owner
 * @param {AccountKey} key
 */
export async function passwordPart(primitives, password, owner, key) {
  const salt = primitives.randomBytes(SALT_BYTES);
  const secrets = await passwordSecrets(password, salt, STRONGEST_KDF, owner);
  const wrapped = await wrap(primitives, secrets.kek, key, 'password');
  return { kdf: STRONGEST_KDF, salt, ...verifierOf(secrets), wrap: wrapped };
}

/**
 * A new recovery code, once the user has typed it back.
 * @param {Primitives} primitives
 * @param {AccountKey} key
 * @param {TypeBack} typeBack
 * @throws {WrongSecret}
 */
export async function recoveryPart(primitives, key, typeBack) {
  const drawn = primitives.randomBytes(SECRET_BYTES.recovery);
  const typed = readCode('recovery', await typeBack(codeOf('recovery', drawn)));
  if (!equal(typed, drawn)) throw new WrongSecret('This is another recovery code. Type the one that was shown.');
  const secret = new UnlockSecret(key.account, 'recovery', typed);
  return { secret, recovery: { proof: secret.proof, wrap: await wrap(primitives, secret.kek, key, 'recovery') } };
}

/**
 * Opens the staged wrap by the password.
 * @param {Primitives} primitives
 * @param {{ salt: Bytes, kdf: number, wrap: Bytes }} part
 * @param {string} password
 * @param {Owner} owner
 * @param {AccountKey} key
 */
export async function checkPassword(primitives, part, password, owner, key) {
  const secrets = await passwordSecrets(password, part.salt, part.kdf, owner);
  (await unwrap(primitives, secrets.kek, part.wrap, key.account, 'password')).checkHead(key.head);
}

/**
 * Opens the staged wrap by the recovery code.
 * @param {Primitives} primitives
 * @param {{ wrap: Bytes }} part
 * @param {UnlockSecret} secret
 * @param {AccountKey} key
 */
export async function checkRecovery(primitives, part, secret, key) {
  (await unwrap(primitives, secret.kek, part.wrap, key.account, 'recovery')).checkHead(key.head);
}
