/** The names and the keys of an account (VAULT §2, §3.1). */
import { concat, unsigned } from '../../common/bytes.js';
import { utf8 } from '../../common/codec.js';
import { equal, hkdf, sha256 } from '../../primitives/hashes.js';
import { publicKey } from '../primitives/ed25519.js';
import { Tampered } from './errors.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */

export const KEY_BYTES = 32;
/** The label of the session's exporter, whose value binds a signature to the session. */
export const EXPORT_LABEL = 'certless-vault/1';
export const NOTHING = new Uint8Array();

/** `data` after its length as u32 (PROTOCOL §1.2.3). @param {Uint8Array} data */
export const lp = (data) => concat(unsigned(data.length, 4), data);

/** V(purpose) (VAULT §2). @param {string} purpose */
export const label = (purpose) => concat(lp(utf8(EXPORT_LABEL)), lp(utf8(purpose)));

/** The user to whom an account belongs, as their session names them. */
export class Owner {
  /** @param {string} username @param {string} realm */
  constructor(username, realm) {
    /** The name of the account (32 bytes). */
    this.account = sha256(concat(label('account'), lp(utf8(realm)), lp(utf8(username))));
    /** idP of SPAKE2+ (VAULT §3.2). */
    this.prover = utf8(`client:${username}`);
    /** idV of SPAKE2+. */
    this.verifier = utf8(`server:${realm}`);
  }
}

/** The account key N (32 bytes) and what is derived from it. */
export class AccountKey {
  /** @param {Bytes} account @param {Bytes} n */
  constructor(account, n) {
    this.account = account;
    this.n = n;
  }

  /** K(purpose) (32 bytes). @param {string} purpose */
  derived(purpose) {
    return hkdf(this.n, this.account, label(purpose), KEY_BYTES);
  }

  /** The seed of the head key, which signs every request. */
  get headSeed() {
    return this.derived('head');
  }

  /** The public head key (32 bytes). */
  get head() {
    return publicKey(this.headSeed);
  }

  /** Compares the head that the server names. @param {Bytes} head @throws {Tampered} */
  checkHead(head) {
    if (!equal(this.head, head)) throw new Tampered('The service names another head than that of this account key.');
  }
}

/**
 * The revision after the change `body`. `revision` is empty for a new account (VAULT §7).
 * @param {Uint8Array} revision
 * @param {Uint8Array} body
 */
export function nextRevision(revision, body) {
  return sha256(concat(label('revision'), lp(revision), lp(body)));
}
