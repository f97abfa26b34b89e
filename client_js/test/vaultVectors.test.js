/** The vectors of the vault, on the client's side, with each implementation of the primitives. */
import './globalCrypto.js';
import assert from 'node:assert/strict';
import { argon2idAsync } from '@noble/hashes/argon2.js';
import { concat } from '../src/common/bytes.js';
import { encodeBytes } from '../src/common/codec.js';
import { nodeCrypto } from '../src/primitives/nodeCrypto.js';
import { pure } from '../src/primitives/pure.js';
import { sha256 } from '../src/primitives/hashes.js';
import { webCrypto } from '../src/primitives/webCrypto.js';
import { AccountKey, Owner, nextRevision } from '../src/vault/core/account.js';
import * as bodies from '../src/vault/core/bodies.js';
import { VaultError } from '../src/vault/core/errors.js';
import { openExport, sealExport } from '../src/vault/core/exports.js';
import { passwordSecrets, verifierOf } from '../src/vault/core/password.js';
import { openNote, openRecord, sealNote, sealRecord } from '../src/vault/core/sealedValues.js';
import { proverConfirmations, proverShare, transcriptOf } from '../src/vault/core/spake2plus.js';
import * as statements from '../src/vault/core/statements.js';
import { UnlockSecret, codeOf, readCode } from '../src/vault/core/unlockSecrets.js';
import { unwrap, wrap } from '../src/vault/core/wraps.js';
import { argon2id } from '../src/vault/primitives/argon2.js';
import { publicKey, sign } from '../src/vault/primitives/ed25519.js';
import { describe, test } from './limited.js';
import { VAULT_VECTORS, unhex } from './vectors.js';

const hex = (bytes) => encodeBytes('hex', bytes);
const number = (digits) => BigInt(`0x${digits}`);
const wide = (value) => value.toString(16).padStart(64, '0');

/** Primitives that draw `drawn`, one after the other. */
function drawing(primitives, ...drawn) {
  const left = drawn.map(unhex);
  const randomBytes = (length) => {
    const next = left.shift();
    assert.equal(next?.length, length);
    return next;
  };
  return { ...primitives, randomBytes };
}

const keyOf = ({ account_hex, n_hex }) => new AccountKey(unhex(account_hex), unhex(n_hex));

const hexOf = (value) => {
  if (value instanceof Uint8Array) return hex(value);
  if (Array.isArray(value)) return value.map(hexOf);
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, hexOf(one)]));
  return value;
};

// The bodies that a client reads, each with its members as they are on the wire.
const READ = {
  Parameters: bodies.parseParameters,
  Run: bodies.parseRun,
  Opened: bodies.parseOpened,
  Revision: (data) => ({ revision: bodies.parseRevision(data) }),
  Staged: (data) => ({ digest: bodies.parseStaged(data) }),
  ResetWait: (data) => ({ hours: bodies.parseResetWait(data) }),
  VaultError: bodies.parseError,
  StoredNote: (data) => {
    const note = bodies.parseStoredNote(data);
    return note ? { note } : {};
  },
  Account: (data) => {
    const { hasTemporary, isToBeReset, devices, ...account } = bodies.parseAccount(data);
    const listed = devices.map(({ opens, ...device }) => ({ ...device, opens: Number(opens) }));
    return { ...account, devices: listed, temporary: Number(hasTemporary), reset: Number(isToBeReset) };
  },
};

const STATEMENTS = {
  proof: (e, a, i) => statements.proofStatement(e, a, i.secret_kind, unhex(i.subject_hex)),
  request: (e, a, i) => statements.requestStatement(e, a, i.method, i.target, unhex(i.body_hex)),
  create: (e, a, i) => statements.creationStatement(e, a, unhex(i.head_hex), unhex(i.proof_hex)),
  typed: (e, a, i) => statements.typedStatement(e, a, unhex(i.proof_hex)),
  rekey: (e, a, i) => statements.rekeyStatement(a, unhex(i.revision_hex), unhex(i.head_hex)),
};

const parts = (list) => new TextDecoder().decode(concat(...list.flatMap((one) => Array.from({ length: one.times }, () => unhex(one.hex)))));

async function run({ context, prover, verifier }, secrets, x, input) {
  const share = proverShare(secrets.w0, x);
  const { prover: confirmP, verifier: confirmV, shared } = proverConfirmations(
    { context, prover, verifier },
    secrets,
    x,
    share,
    unhex(input.shareV_hex),
  );
  return { shareP_hex: hex(share), shareV_hex: input.shareV_hex, confirmP_hex: hex(confirmP), confirmV_hex: hex(confirmV), shared_hex: hex(shared) };
}

const KINDS = {
  vault_account: (_, i) => {
    const { account } = new Owner(i.username, i.realm);
    const key = new AccountKey(account, unhex(i.n_hex));
    return { account_hex: hex(account), head_hex: hex(key.head), note_key_hex: hex(key.derived('note')), devices_key_hex: hex(key.derived('devices')) };
  },
  vault_secret_keys: (_, i) => {
    const secret = new UnlockSecret(new Owner(i.username, i.realm).account, i.secret_kind, unhex(i.secret_hex));
    return { kek_hex: hex(secret.kek), proof_hex: hex(secret.proof) };
  },
  vault_revision: (_, i) => ({ revision_hex: hex(nextRevision(unhex(i.before_hex), unhex(i.body_hex))) }),
  vault_statement: (_, i) => {
    const statement = STATEMENTS[i.statement](i.exported_hex && unhex(i.exported_hex), unhex(i.account_hex), i);
    const seed = unhex(i.seed_hex);
    return { statement_hex: hex(statement), public_hex: hex(publicKey(seed)), signature_hex: hex(sign(seed, statement)) };
  },
  vault_password: async (_, i) => {
    const secrets = await passwordSecrets(i.password, unhex(i.salt_hex), i.kdf, new Owner(i.username, i.realm));
    return { w0_hex: wide(secrets.w0), w1_hex: wide(secrets.w1), l_hex: hex(verifierOf(secrets).l), kek_hex: hex(secrets.kek) };
  },
  vault_run: (_, i, output) => {
    const transcript = { context: unhex(i.context_hex), prover: unhex(i.prover_hex), verifier: unhex(i.verifier_hex) };
    const secrets = { w0: number(i.w0_hex), w1: number(i.w1_hex) };
    return run(transcript, secrets, number(i.x_hex), { shareV_hex: i.shareV_hex ?? output.shareV_hex });
  },
  vault_unlock: async (_, i, output) => {
    const [owner, salt] = [new Owner(i.username, i.realm), unhex(i.salt_hex)];
    const secrets = await passwordSecrets(i.password, salt, i.kdf, owner);
    const transcript = transcriptOf(owner, unhex(i.exported_hex), i.kdf, salt);
    return { context_hex: hex(transcript.context), ...(await run(transcript, secrets, number(i.x_hex), output)) };
  },
  vault_write_code: (_, i) => ({ text: codeOf(i.secret_kind, unhex(i.secret_hex)) }),
  vault_read_code: (_, i) => ({ secret_hex: hex(readCode(i.secret_kind, i.text)) }),
  vault_seal_wrap: async (primitives, i) => {
    const sealing = drawing(primitives, i.iv_hex);
    return { wrap_hex: hex(await wrap(sealing, unhex(i.kek_hex), keyOf(i), i.wrap_kind, unhex(i.subject_hex))) };
  },
  vault_open_wrap: async (primitives, i) => {
    const names = [unhex(i.account_hex), i.wrap_kind, unhex(i.subject_hex)];
    return { n_hex: hex((await unwrap(primitives, unhex(i.kek_hex), unhex(i.wrap_hex), ...names)).n) };
  },
  vault_seal_note: async (primitives, i) => {
    const sealed = await sealNote(drawing(primitives, i.iv_hex), keyOf(i), { sequence: i.sequence, text: i.text });
    return { sealed_hex: hex(sealed), digest_hex: hex(sha256(sealed)) };
  },
  vault_note_digest: async (primitives, i) => {
    const note = { sequence: i.sequence, text: parts(i.text_parts) };
    return { digest_hex: hex(sha256(await sealNote(drawing(primitives, i.iv_hex), keyOf(i), note))) };
  },
  vault_open_note: async (primitives, i) => openNote(primitives, keyOf(i), unhex(i.sealed_hex)),
  vault_seal_record: async (primitives, i) => {
    const record = { name: i.name, kind: i.kind, day: i.day };
    return { sealed_hex: hex(await sealRecord(drawing(primitives, i.iv_hex), keyOf(i), unhex(i.id_hex), record)) };
  },
  vault_open_record: async (primitives, i) => openRecord(primitives, keyOf(i), unhex(i.id_hex), unhex(i.sealed_hex)),
  vault_seal_export: async (primitives, i) => {
    const sealing = drawing(primitives, i.salt_hex, i.iv_hex);
    return { export_hex: hex(await sealExport(sealing, i.text, i.passphrase, i.kdf)) };
  },
  vault_open_export: async (primitives, i) => ({ text: await openExport(primitives, unhex(i.export_hex), i.passphrase) }),
  vault_body: (_, i) => ({ members: hexOf(READ[i.message](unhex(i.hex))) }),
};

// This client has no blocks yet.
const OF_BLOCKS = /^vault_(tokens|permit|receipt|check|tombstone|bucket|safe_until)$/;

/** What only a server does: it verifies signatures, and reads the bodies of requests. */
const isOfAServer = ({ kind, input }) =>
  OF_BLOCKS.test(kind) ||
  kind === 'vault_verify' || (kind === 'vault_body' && !(input.message in READ)) || (kind === 'vault_run' && input.shareP_hex !== undefined);
// The index, which this client does not read yet.
const IS_OF_THE_INDEX =
  /^vault_(seal_block|open_extent|read_stream|read_node|read_entry|read_directory|read_meta|seal_meta|open_meta|remembered|words|written|merge)$/;
// The same bytes whatever the primitives are.
const NEEDS_PRIMITIVES = /seal|open|note/;

for (const primitives of [pure, webCrypto, nodeCrypto]) {
  describe(primitives.name, () => {
    for (const { name, kind, input, expect, output } of VAULT_VECTORS.filter((vector) => !isOfAServer(vector) && !IS_OF_THE_INDEX.test(vector.kind))) {
      if (primitives !== pure && !NEEDS_PRIMITIVES.test(kind)) continue;
      test(name, async () => {
        const outcome = async () => KINDS[kind](primitives, input, output);
        if (expect === 'ok') {
          assert.deepEqual(await outcome(), output);
        } else {
          await assert.rejects(outcome, (error) => {
            assert.ok(error instanceof VaultError, error.stack);
            assert.equal(error.code, expect);
            return true;
          });
        }
      });
    }
  });
}

test('noble gives the same as WebAssembly', async () => {
  const [password, salt] = [new Uint8Array(20).fill(1), new Uint8Array(16).fill(2)];
  const expected = await argon2idAsync(password, salt, { m: 19_456, t: 2, p: 1, dkLen: 64 });
  assert.deepEqual(await argon2id(password, salt, { memoryKib: 19_456, passes: 2, lanes: 1 }, 64), expected);
});
