/** The errors of the vault's cryptography. No text of an error holds a secret. */
import { CertlessError } from '../../common/errors.js';

/** Any failure of the vault. Its `code` is that of its class. */
export class VaultError extends CertlessError {
  static kind = 'VaultError';
}

/** A message, a code, a wrap or a password does not have its form. */
export class Malformed extends VaultError {
  /** @override */
  static kind = 'Malformed';

  /** @param {string} message */
  constructor(message) {
    super('malformed', message);
  }
}

/** A body, a note or a list is above its limit. */
export class TooLarge extends Malformed {
  /** @override */
  static kind = 'TooLarge';

  /** @param {string} message */
  constructor(message) {
    super(message);
    this.code = 'too_large';
  }
}

/** The secret does not open this, or the other side does not know the secret. */
export class WrongSecret extends VaultError {
  /** @override */
  static kind = 'WrongSecret';

  /** @param {string} message */
  constructor(message) {
    super('wrong_secret', message);
  }
}

/** The server's data does not match the keys of the account. */
export class Tampered extends VaultError {
  /** @override */
  static kind = 'Tampered';

  /** @param {string} message */
  constructor(message) {
    super('tampered', message);
  }
}

/** The server names parameters of Argon2id that this client does not accept. */
export class WeakKdf extends VaultError {
  /** @override */
  static kind = 'WeakKdf';

  constructor() {
    super('weak_kdf', 'The service names unknown parameters of Argon2id. Update this client.');
  }
}
