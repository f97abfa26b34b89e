/** The error of a certificate request. Its message is for people, and has no key and no passphrase. */

export class IssuingError extends Error {
  /** @param {'input' | 'refused' | 'mismatch' | 'no_key'} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = 'IssuingError';
    this.code = code;
  }
}
