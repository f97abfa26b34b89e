// The classic suite, client and server, as a Node program speaks it: an implementation of its own,
// on Node's own crypto, to hold the Python one against.
//
//   node classic_peer.mjs <dialect> [<overrides as JSON>]
//
// It says "ready"; then one JSON object a line comes in, {"command": "seal_login", ...}, and one
// goes out, {"result": ...} or {"error": ...}. Nothing is kept between two lines: keys travel as
// PEM, the time as `now` in milliseconds, bodies as base64.
//
//   node classic_peer.mjs --probe
//
// exits with 0 where this Node takes PKCS#1 v1.5 padding off with a private key.
import crypto from 'node:crypto';
import readline from 'node:readline';
import { evpKeyAndIv, md5Hex, stripPkcs1 } from './old_node.mjs';

const DIALECTS = {
  'article-2016': { aes: 'ctr', code: 'md5hex', key: 'evp', rsa: 'pkcs1-v1.5' },
  'article-2016-oaep': { aes: 'ctr', code: 'md5hex', key: 'evp', rsa: 'oaep-sha1' },
  'sfet-1.0': { aes: 'cbc', code: 'md5hex', key: 'evp', rsa: 'pkcs1-v1.5' },
  'sfet-1.1': { aes: 'cbc', code: 'md5hex', key: 'raw', rsa: 'pkcs1-v1.5' },
  'sfet-2': { aes: 'cbc', code: 'as-is', key: 'md5hex', rsa: 'pkcs1-v1.5' },
  'sfet-3.0': { aes: 'cbc', code: 'as-is', key: 'md5hex', rsa: 'oaep-sha1' },
  'sfet-3': { aes: 'cbc', code: 'as-is', key: 'md5hex', rsa: 'oaep-sha256' },
  'sfet-3.3-cbc-browser': { aes: 'cbc', code: 'md5hex', key: 'raw', rsa: 'oaep-sha1' },
  'sfet-3.3-gcm': { aes: 'gcm', code: 'md5hex', key: 'raw', rsa: 'oaep-sha256', tag: 'first' },
  'sfet-3.3-gcm-browser': { aes: 'gcm', code: 'md5hex', key: 'raw', rsa: 'oaep-sha1', tag: 'first' },
  'sfet-4-cbc': { aes: 'cbc', code: 'md5hex', key: 'raw', rsa: 'oaep-sha256' },
  'sfet-4-gcm': { aes: 'gcm', code: 'md5hex', key: 'raw', rsa: 'oaep-sha256' },
};

const NAMES = {
  token: 'token',
  key: 'key',
  payload: 'payload',
  iv: 'iv',
  public_key: 'publicKey',
  timestamp: 'timestamp',
  nonce: 'nonce',
  password: 'password',
  request: 'request',
  response: 'response',
};

// How time is written, and read back as milliseconds; NaN is never fresh.
const TIMESTAMPS = {
  ms: { write: (now) => now, read: (value) => (Number.isInteger(value) ? value : NaN) },
  s: {
    write: (now) => now / 1000,
    read: (value) => (typeof value === 'number' ? value * 1000 : NaN),
  },
  iso8601: {
    write: (now) => new Date(now).toISOString(),
    read: (value) => (typeof value === 'string' ? Date.parse(value) : NaN),
  },
};

const RSA = {
  'pkcs1-v1.5': { padding: crypto.constants.RSA_PKCS1_PADDING },
  // No oaepHash: that SHA-1 is Node's own default is part of what is shown here.
  'oaep-sha1': { padding: crypto.constants.RSA_PKCS1_OAEP_PADDING },
  'oaep-sha256': { padding: crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
};

const PASSPHRASE_CHARS = 32;
const GCM_TAG_BYTES = 16;
const WINDOW_MS = 60_000;

function unpadsNatively() {
  const { publicKey, privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 1024 });
  const wrapped = crypto.publicEncrypt({ key: publicKey, ...RSA['pkcs1-v1.5'] }, Buffer.from('x'));
  try {
    return crypto.privateDecrypt({ key: privateKey, ...RSA['pkcs1-v1.5'] }, wrapped).equals(
      Buffer.from('x'),
    );
  } catch {
    return false;
  }
}

if (process.argv[2] === '--probe') process.exit(unpadsNatively() ? 0 : 1);

const overrides = JSON.parse(process.argv[3] ?? '{}');
const dialect = DIALECTS[process.argv[2]];
if (dialect === undefined) throw new Error(`no dialect ${process.argv[2]}`);
const names = { ...NAMES, ...overrides.names };
const encoding = overrides.encoding ?? 'base64';
const time = TIMESTAMPS[overrides.timestamp ?? 'ms'];
const algorithm = `aes-256-${dialect.aes}`;
const tagFirst = dialect.tag === 'first';
const stripByHand = dialect.rsa === 'pkcs1-v1.5' && !unpadsNatively();

// createCipher is deprecated and warns of CTR besides; that it is weak is no news here.
process.removeAllListeners('warning');

// --- AES ----------------------------------------------------------------------------------------

const randomText = (chars) => crypto.randomBytes(chars).toString('hex').slice(0, chars);

/** The cipher of `direction`, 'Cipher' or 'Decipher', under `passphrase`. */
function cipherOf(direction, passphrase, iv) {
  if (dialect.key === 'evp') {
    // Where Node still has createCipher, it is the oracle: what clients of 2016 really called.
    const legacy = crypto[`create${direction}`];
    if (legacy !== undefined) return legacy(algorithm, passphrase);
    const derived = evpKeyAndIv(passphrase);
    return crypto[`create${direction}iv`](algorithm, derived.key, derived.iv);
  }
  const key = dialect.key === 'md5hex' ? md5Hex(passphrase) : passphrase;
  return crypto[`create${direction}iv`](algorithm, Buffer.from(key), Buffer.from(iv, 'ascii'));
}

/** The members of a message that carry `plaintext`: its payload, and its IV where one is sent. */
function seal(passphrase, plaintext, givenIv) {
  const iv = dialect.aes === 'gcm' ? (givenIv ?? randomText(12)) : givenIv;
  const cipher = cipherOf('Cipher', passphrase, iv ?? '0'.repeat(16));
  const parts = [cipher.update(plaintext), cipher.final()];
  if (dialect.aes === 'gcm') parts[tagFirst ? 'unshift' : 'push'](cipher.getAuthTag());
  const payload = Buffer.concat(parts).toString(encoding);
  return { [names.payload]: payload, ...(iv === undefined ? {} : { [names.iv]: iv }) };
}

function open(passphrase, message) {
  let sealed = Buffer.from(message[names.payload], encoding);
  const iv = message[names.iv];
  if (dialect.aes === 'gcm' && iv?.length !== 12) throw new Error('gcm needs an iv of 12');
  const decipher = cipherOf('Decipher', passphrase, iv ?? '0'.repeat(16));
  if (dialect.aes === 'gcm') {
    const at = tagFirst ? GCM_TAG_BYTES : -GCM_TAG_BYTES;
    const [before, after] = [sealed.subarray(0, at), sealed.subarray(at)];
    decipher.setAuthTag(tagFirst ? before : after);
    sealed = tagFirst ? after : before;
  }
  return Buffer.concat([decipher.update(sealed), decipher.final()]);
}

const codePassphrase = (code) => (dialect.code === 'md5hex' ? md5Hex(code) : code);

// --- RSA ----------------------------------------------------------------------------------------

function wrap(publicKey, passphrase, padding = dialect.rsa) {
  const options = { key: publicKey, ...RSA[padding] };
  return crypto.publicEncrypt(options, Buffer.from(passphrase)).toString(encoding);
}

function unwrap(privateKey, wrapped) {
  const number = Buffer.from(wrapped, encoding);
  const secret = stripByHand
    ? stripPkcs1(
        crypto.privateDecrypt(
          { key: privateKey, padding: crypto.constants.RSA_NO_PADDING },
          number,
        ),
      )
    : crypto.privateDecrypt({ key: privateKey, ...RSA[dialect.rsa] }, number);
  if (secret.length !== PASSPHRASE_CHARS) throw new Error('a passphrase has 32 characters');
  return secret.toString('ascii');
}

function sealTo(publicKey, plaintext, { iv, padding } = {}) {
  const passphrase = randomText(PASSPHRASE_CHARS);
  return {
    [names.key]: wrap(publicKey, passphrase, padding),
    ...seal(passphrase, plaintext, iv),
  };
}

const openFrom = (privateKey, message) => open(unwrap(privateKey, message[names.key]), message);

// --- payloads -----------------------------------------------------------------------------------

function stamp(now, nonce = crypto.randomUUID()) {
  return { [names.timestamp]: time.write(now), [names.nonce]: nonce };
}

/** The payload's members without timestamp and nonce, once both have been checked. */
function checkFresh(payload, now) {
  const { [names.timestamp]: timestamp, [names.nonce]: nonce, ...fields } = payload;
  if (typeof nonce !== 'string' || nonce === '') throw new Error('no nonce');
  if (!(Math.abs(now - time.read(timestamp)) <= WINDOW_MS)) throw new Error('stale timestamp');
  return { fields, nonce };
}

/** A body as JSON holds it: text where the bytes are UTF-8, else base64. */
function bodyMembers(bytes) {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes)
    ? { body: text }
    : { body: bytes.toString('base64'), encoding: 'base64' };
}

const fromPipe = ({ body, ...rest }) => ({ ...rest, ...bodyMembers(Buffer.from(body, 'base64')) });

function toPipe({ body, encoding: form = 'utf8', ...rest }) {
  return { ...rest, body: Buffer.from(body, form).toString('base64') };
}

// --- commands -----------------------------------------------------------------------------------

const COMMANDS = {
  generate_key() {
    const pair = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = (key, type) => key.export({ type, format: 'pem' });
    return {
      spki: pem(pair.publicKey, 'spki'),
      public_pkcs1: pem(pair.publicKey, 'pkcs1'),
      pkcs1: pem(pair.privateKey, 'pkcs1'),
      pkcs8: pem(pair.privateKey, 'pkcs8'),
    };
  },

  evp_key_and_iv({ passphrase }) {
    const { key, iv } = evpKeyAndIv(passphrase);
    return { key: key.toString('hex'), iv: iv.toString('hex') };
  },

  seal_text({ passphrase, text }) {
    return { payload: seal(passphrase, text)[names.payload] };
  },

  seal_login({ token, code, public_key, password, now, iv }) {
    // A password that is undefined leaves no member behind: JSON.stringify drops it.
    const payload = { ...stamp(now), [names.public_key]: public_key, [names.password]: password };
    const sealed = seal(codePassphrase(code), JSON.stringify(payload), iv);
    return { message: { [names.token]: token, ...sealed } };
  },

  open_login({ message, code, now }) {
    const { fields } = checkFresh(JSON.parse(open(codePassphrase(code), message)), now);
    return { public_key: fields[names.public_key], password: fields[names.password] ?? null };
  },

  seal_login_reply({ client_key, public_key }) {
    const plaintext = JSON.stringify({ [names.public_key]: public_key });
    return { message: sealTo(client_key, plaintext) };
  },

  open_login_reply({ message, private_key }) {
    const { [names.public_key]: pem } = JSON.parse(openFrom(private_key, message));
    if (crypto.createPublicKey(pem).asymmetricKeyType !== 'rsa') throw new Error('not RSA');
    return { public_key: pem };
  },

  /** `fields` go in as they are; `request` is a whole HTTP request, its body as base64. */
  seal_request({ token, public_key, fields, request, now, iv, padding }) {
    const inside = request === undefined ? fields : { [names.request]: fromPipe(request) };
    const fresh = stamp(now);
    const sealed = sealTo(public_key, JSON.stringify({ ...inside, ...fresh }), { iv, padding });
    return { message: { [names.token]: token, ...sealed }, nonce: fresh[names.nonce] };
  },

  open_request({ message, private_key, now }) {
    const { fields, nonce } = checkFresh(JSON.parse(openFrom(private_key, message)), now);
    const request = fields[names.request];
    return request === undefined ? { fields, nonce } : { request: toPipe(request), nonce };
  },

  /** `body` answers in place, as it is; `response` is a whole HTTP response to `nonce`. */
  seal_response({ public_key, body, response, nonce, now }) {
    if (response === undefined) return { message: sealTo(public_key, Buffer.from(body, 'base64')) };
    const payload = { ...stamp(now, nonce), [names.response]: fromPipe(response) };
    return { message: sealTo(public_key, JSON.stringify(payload)) };
  },

  /** With a `nonce`, the whole HTTP response to it; without, the body that came in place. */
  open_response({ message, private_key, nonce, now }) {
    const plaintext = openFrom(private_key, message);
    if (nonce === undefined) return { body: plaintext.toString('base64') };
    const answer = checkFresh(JSON.parse(plaintext), now);
    if (answer.nonce !== nonce) throw new Error('the answer is to another request');
    return { response: toPipe(answer.fields[names.response]) };
  },
};

process.stdout.write('ready\n');
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { command, ...input } = JSON.parse(line);
  let reply;
  try {
    reply = { result: COMMANDS[command](input) };
  } catch (error) {
    reply = { error: String(error.message) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
