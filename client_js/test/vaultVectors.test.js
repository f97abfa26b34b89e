/** The vectors of the vault, on the client's side, with each implementation of the primitives. */
import './globalCrypto.js';
import assert from 'node:assert/strict';
import { argon2idAsync } from '@noble/hashes/argon2.js';
import { concat } from '../src/common/bytes.js';
import { encodeBytes } from '../src/common/codec.js';
import { nodeCrypto } from '../src/primitives/nodeCrypto.js';
import { pure } from '../src/primitives/pure.js';
import { sha256 } from '../src/primitives/hashes.js';
import { parseMsgpack } from '../src/protocol/msgpack.js';
import { webCrypto } from '../src/primitives/webCrypto.js';
import { AccountKey, Owner, nextRevision } from '../src/vault/core/account.js';
import {
  parseBlockParameters,
  parseCheckedBlocks,
  parseFoundBlocks,
  parseReceipts,
  parseRenewedBlocks,
  parseReserved,
  parseStoredMeta,
} from '../src/vault/core/blockBodies.js';
import { openBlock, sealBlock } from '../src/vault/core/blocks.js';
import * as bodies from '../src/vault/core/bodies.js';
import { serialize } from '../src/vault/core/bodies.js';
import { pinDeviceKey, pinnedKey } from '../src/vault/core/deviceKeys.js';
import { parseDirectory, parseEntry, serializeDirectory, serializeEntry } from '../src/vault/core/entries.js';
import { openEnvelope, openEnvelopeByDevice, sealEnvelope } from '../src/vault/core/envelopes.js';
import { VaultError } from '../src/vault/core/errors.js';
import { bucketOf, safeUntilMs } from '../src/vault/core/expiry.js';
import { openExport, sealExport } from '../src/vault/core/exports.js';
import { mergeEntry } from '../src/vault/core/merging.js';
import { openMeta, parseMeta, sealMeta, serializeMeta, writtenBy } from '../src/vault/core/metas.js';
import { passkeyChallenge, passkeyKek, prfSalt } from '../src/vault/core/passkeys.js';
import { passwordSecrets, verifierOf } from '../src/vault/core/password.js';
import { isNews } from '../src/vault/core/remembered.js';
import { openNote, openRecord, sealNote, sealRecord } from '../src/vault/core/sealedValues.js';
import { proverConfirmations, proverShare, transcriptOf } from '../src/vault/core/spake2plus.js';
import * as statements from '../src/vault/core/statements.js';
import { openExtent, parseNode, parseStream, serializeStream } from '../src/vault/core/streams.js';
import { checkOf, receiptOf, tokenOf } from '../src/vault/core/tokens.js';
import { UnlockSecret, codeOf, readCode } from '../src/vault/core/unlockSecrets.js';
import { wordsOf } from '../src/vault/core/words.js';
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

const envelopeOf = ({ item_hex, version, data_hex, wraps, signature_hex }) => ({
  ...{ item: unhex(item_hex), version, data: unhex(data_hex), signature: unhex(signature_hex) },
  wraps: Object.entries(wraps).map(([device, wrap]) => ({ device: unhex(device), wrap: unhex(wrap) })),
});

/** The length of a list, also in a body with a fault. */
function countIn(data, name) {
  try {
    return parseMsgpack(data).get(name).length;
  } catch {
    return 1;
  }
}

// The bodies that a client reads, each with its members as they are on the wire.
const READ = {
  Parameters: bodies.parseParameters,
  Run: bodies.parseRun,
  Opened: bodies.parseOpened,
  Revision: (data) => ({ revision: bodies.parseRevision(data) }),
  Staged: (data) => ({ digest: bodies.parseStaged(data) }),
  ResetWait: (data) => ({ hours: bodies.parseResetWait(data) }),
  VaultError: bodies.parseError,
  StoredMeta: (data) => {
    const meta = parseStoredMeta(data);
    return meta ? { meta } : {};
  },
  BlockParameters: (data) => {
    const { frameS, bucket } = parseBlockParameters(data);
    return { frame_s: frameS, bucket };
  },
  // The client asks about as many blocks as the answer has.
  Reserved: (data) => ({ ids: parseReserved(data, countIn(data, 'ids')) }),
  Receipts: (data) => ({ receipts: parseReceipts(data, countIn(data, 'receipts')) }),
  FoundBlocks: (data) => ({ blocks: parseFoundBlocks(data, countIn(data, 'blocks')).map((block) => block ?? new Uint8Array()) }),
  RenewedBlocks: (data) => ({ renewed: parseRenewedBlocks(data, countIn(data, 'renewed')).map(Number) }),
  CheckedBlocks: (data) => ({ digests: parseCheckedBlocks(data, countIn(data, 'digests')).map((digest) => digest ?? new Uint8Array()) }),
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

const bytesOf = (list) => new Uint8Array(Buffer.concat(list.map(({ hex: one, times }) => Buffer.alloc(times * (one.length / 2), one, 'hex'))));
const parts = (list) => new TextDecoder().decode(bytesOf(list));

const blockKeyOf = (input) => keyOf(input).derived('block');
/** The one extent of a stream. */
const extentOf = (text) => parseStream(concat(Uint8Array.of(0, 0, 1), unhex(text))).extents[0];
const extentsOf = (extents) => extents.map(({ id, digest, epoch, size }) => ({ id_hex: hex(id), digest_hex: hex(digest), epoch, size }));
const membersOf = (data) => hexOf(plain(parseMsgpack(data)));
const plain = (value) => {
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, one]) => [name, plain(one)]));
  return Array.isArray(value) ? value.map(plain) : value;
};
const writerOf = ({ id, count }) => ({ id: unhex(id), count });
const stateOf = ({ sequence, root_hex, writers }) => ({ sequence, root: unhex(root_hex), writers: writers.map(writerOf) });
const entryOf = ({ id, kind, name, versions }) => ({
  ...{ id: unhex(id), kind, name },
  versions: versions.map((one) => ({ id: unhex(one.id), writer: unhex(one.writer), day: one.day, stream: parseStream(unhex(one.stream)) })),
});
const sideOf = (entries) => new Map(entries.map((entry) => [entry.id, entryOf(entry)]));

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
  vault_body: (_, i) => {
    if (i.hex !== undefined) return { members: hexOf(READ[i.message](unhex(i.hex))) };
    return { digest_hex: hex(sha256(serialize(READ[i.message](bytesOf(i.parts))))) };
  },
  vault_tokens: (_, i) => {
    const uses = ['write', 'read', 'renew'].map((use) => [use, tokenOf(keyOf(i).derived(use), use, unhex(i.id_hex))]);
    return Object.fromEntries(uses.flatMap(([use, token]) => [[`${use}_hex`, hex(token)], [`${use}_hash_hex`, hex(sha256(token))]]));
  },
  vault_receipt: (_, i) => ({ receipt_hex: hex(receiptOf(unhex(i.id_hex), bytesOf(i.block_parts))) }),
  vault_check: (_, i) => ({ check_hex: hex(checkOf(unhex(i.nonce_hex), bytesOf(i.block_parts))) }),
  vault_bucket: (_, i) => ({ bucket: bucketOf((i.now_s + i.jitter_s) * 1000, i.frame_s) }),
  vault_safe_until: (_, i) => ({ safe_until_s: safeUntilMs(i.renewed, i.frame_s) / 1000 }),
  vault_seal_block: async (primitives, i) => {
    const [id, data] = [unhex(i.id_hex), bytesOf(i.data_parts)];
    const block = await sealBlock(drawing(primitives, i.salt_hex), blockKeyOf(i), id, data);
    assert.deepEqual(await openBlock(primitives, blockKeyOf(i), id, block), data);
    return { digest_hex: hex(sha256(block)) };
  },
  vault_open_extent: async (primitives, i) => {
    const block = i.block_hex ? unhex(i.block_hex) : null;
    return { data_hex: hex(await openExtent(primitives, blockKeyOf(i), extentOf(i.extent_hex), block)) };
  },
  vault_read_stream: (_, i) => {
    const stream = parseStream(unhex(i.hex));
    assert.equal(hex(serializeStream(stream)), i.hex);
    return { depth: stream.depth, extents: extentsOf(stream.extents) };
  },
  vault_read_node: (_, i) => ({ extents: extentsOf(parseNode(extentOf(i.extent_hex), unhex(i.data_hex))) }),
  vault_read_entry: (_, i) => {
    assert.equal(hex(serializeEntry(parseEntry(unhex(i.hex)))), i.hex);
    return { members: membersOf(unhex(i.hex)) };
  },
  vault_read_directory: (_, i) => {
    const entries = parseDirectory(unhex(i.hex));
    assert.equal(hex(serializeDirectory(entries)), i.hex);
    return { entries: [...entries.values()].map((entry) => membersOf(serializeEntry(entry))) };
  },
  vault_read_meta: (_, i) => {
    assert.equal(hex(serializeMeta(parseMeta(unhex(i.hex)))), i.hex);
    return { members: membersOf(unhex(i.hex)) };
  },
  vault_seal_meta: async (primitives, i) => {
    const meta = parseMeta(unhex(i.body_hex));
    const { sealed, root } = await sealMeta(drawing(primitives, i.iv_hex), keyOf(i), meta);
    assert.deepEqual(await openMeta(primitives, keyOf(i), sealed), { meta, root });
    return { digest_hex: hex(sha256(sealed)), root_hex: hex(root) };
  },
  vault_open_meta: async (primitives, i) => ({ root_hex: hex((await openMeta(primitives, keyOf(i), unhex(i.sealed_hex))).root) }),
  vault_remembered: (_, i) => {
    const { root, ...meta } = i.now ? stateOf(i.now) : {};
    const isNew = isNews(stateOf(i.before), i.now && { meta, root });
    assert.equal(isNew, i.now.root_hex !== i.before.root_hex);
    return {};
  },
  vault_words: (_, i) => ({ text: wordsOf(unhex(i.root_hex)) }),
  vault_written: (_, i) => ({ writers: hexOf(writtenBy(i.writers.map(writerOf), writerOf(i.writer))) }),
  vault_passkey: (_, i) => {
    const account = unhex(i.account_hex);
    return {
      challenge_hex: hex(passkeyChallenge(unhex(i.exported_hex), account, i.purpose, unhex(i.nonce_hex))),
      prf_salt_hex: hex(prfSalt(account, i.rp_id)),
      kek_hex: hex(passkeyKek(unhex(i.prf_hex), account)),
    };
  },
  vault_pin: async (_, i) => ({ pin_hex: hex((await pinDeviceKey(keyOf(i), unhex(i.id_hex), unhex(i.public_hex))).pin) }),
  vault_check_pin: async (_, i) => {
    const device = { id: unhex(i.id_hex), publicKey: unhex(i.public_hex), pin: unhex(i.pin_hex) };
    assert.equal((await pinnedKey(device, unhex(i.account_hex), unhex(i.head_hex))).type, 'public');
    return {};
  },
  vault_seal_envelope: async (primitives, i) => {
    const content = { item: unhex(i.item_hex), version: i.version, text: unhex(i.text_hex) };
    const { data, wraps, signature } = await sealEnvelope(drawing(primitives, i.key_hex, i.iv_hex, i.wrap_iv_hex), keyOf(i), content, []);
    const listed = wraps.map(({ device, wrap: one }) => [hex(device), hex(one)]);
    return { data_hex: hex(data), wraps: Object.fromEntries(listed), signature_hex: hex(signature) };
  },
  vault_open_envelope: async (primitives, i) => ({ text_hex: hex(await openEnvelope(primitives, keyOf(i), envelopeOf(i))) }),
  vault_open_envelope_by_device: async (primitives, i) => {
    const algorithm = { name: 'RSA-OAEP', hash: 'SHA-256' };
    const privateKey = await crypto.subtle.importKey('pkcs8', unhex(i.private_hex), algorithm, false, ['decrypt']);
    const device = { account: unhex(i.account_hex), head: unhex(i.head_hex), id: unhex(i.device_hex), privateKey };
    return { text_hex: hex(await openEnvelopeByDevice(primitives, device, envelopeOf(i))) };
  },
  vault_merge: (_, i) => {
    const [base, ours, theirs] = [i.base, i.ours, i.theirs].map(sideOf);
    const ids = [...new Set([...ours.keys(), ...theirs.keys()])].sort();
    const merged = ids.map((id) => mergeEntry(...[base, ours, theirs].map((side) => side.get(id) ?? null)));
    return { entries: merged.filter((entry) => entry).map((entry) => membersOf(serializeEntry(entry))) };
  },
};

/** What only a server does: it verifies signatures, reads the bodies of requests, and draws ids. */
const isOfAServer = ({ kind, input }) =>
  ['vault_verify', 'vault_permit', 'vault_tombstone'].includes(kind) || (kind === 'vault_body' && !(input.message in READ)) || (kind === 'vault_run' && input.shareP_hex !== undefined);
// The same bytes whatever the primitives are.
const NEEDS_PRIMITIVES = /seal|open|note/;

for (const primitives of [pure, webCrypto, nodeCrypto]) {
  describe(primitives.name, () => {
    for (const { name, kind, input, expect, output } of VAULT_VECTORS.filter((vector) => !isOfAServer(vector))) {
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
