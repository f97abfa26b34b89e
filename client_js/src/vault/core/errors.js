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

/** @typedef {'forged' | 'rolled_back' | 'forked' | 'missing' | 'swapped'} AlarmName */

/** @type {Readonly<Record<AlarmName, string>>} */
const ALARMS = {
  forged: 'The service gave a value that this vault did not make.',
  rolled_back: 'The service shows an older state of the vault than before.',
  forked: 'The service shows a state of the vault that does not follow the one before.',
  missing: 'The service does not have a block of this vault any more.',
  swapped: 'The service gave another block than the one that this vault has written.',
};

/** The server shows another index or other blocks than it must (VAULT §21.1). `code` is the name of the alarm. */
export class Alarm extends Tampered {
  /** @override */
  static kind = 'Alarm';

  /** @param {AlarmName} name */
  constructor(name) {
    super(ALARMS[name]);
    this.code = name;
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
