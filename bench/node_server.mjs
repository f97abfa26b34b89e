// For comparison: the same protocol in the dialect sfet-3 (AES-256-CBC keyed by MD5, OAEP-SHA256), on
// node:http and node:crypto alone, in one process.
//
//   node node_server.mjs pem      imports the PEM at every call, as the original library does
//   node node_server.mjs keys     keeps KeyObjects
//   node node_server.mjs rsa COUNT  microseconds of CPU of one private and one public operation
//
// It prints {"port": ...} and ends when its standard input ends. POST /sessions {"publicKey"} replaces
// the login. It omits strict checks (duplicate members, canonical base64, uniform rejection).
import crypto from 'node:crypto';
import http from 'node:http';

const WINDOW_MS = 600_000;
const MAX_MESSAGES = 4096;
const OAEP = { padding: crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
const IV = Buffer.from('0'.repeat(16));

const [mode, count] = process.argv.slice(2);
const sessions = new Map();

class Refused extends Error {}

const aesKey = (passphrase) => crypto.createHash('md5').update(passphrase).digest('hex');

function unwrap(key, wrapped) {
  const passphrase = crypto.privateDecrypt({ key, ...OAEP }, Buffer.from(wrapped, 'base64'));
  if (passphrase.length !== 32) throw new Refused('passphrase');
  return passphrase.toString('ascii');
}

function wrap(key, passphrase) {
  return crypto.publicEncrypt({ key, ...OAEP }, Buffer.from(passphrase)).toString('base64');
}

function open(passphrase, payload) {
  const decipher = crypto.createDecipheriv('aes-256-cbc', aesKey(passphrase), IV);
  return decipher.update(payload, 'base64', 'utf8') + decipher.final('utf8');
}

function seal(passphrase, plaintext) {
  const cipher = crypto.createCipheriv('aes-256-cbc', aesKey(passphrase), IV);
  return cipher.update(plaintext, 'utf8', 'base64') + cipher.final('base64');
}

function echo(request) {
  if (request.method !== 'POST' || request.path !== '/echo') throw new Refused('route');
  const body = JSON.stringify(JSON.parse(request.body));
  const headers = [
    ['Content-Type', 'application/json; charset=utf-8'],
    ['Content-Length', String(Buffer.byteLength(body))],
  ];
  return { status: 200, headers, body };
}

function answerMessage({ token, key, payload }) {
  const session = sessions.get(token);
  if (session === undefined) throw new Refused('token');
  const passphrase = unwrap(session.privateKey, key);
  const { timestamp, nonce, request } = JSON.parse(open(passphrase, payload));
  if (!Number.isInteger(timestamp) || Math.abs(Date.now() - timestamp) > WINDOW_MS) {
    throw new Refused('timestamp');
  }
  if (typeof nonce !== 'string' || session.nonces.has(nonce)) throw new Refused('nonce');
  if (session.passphrases.has(passphrase)) throw new Refused('passphrase');
  if (session.nonces.size >= MAX_MESSAGES) throw new Refused('messages');
  session.nonces.add(nonce);
  session.passphrases.add(passphrase);
  const response = echo(request);
  const fresh = crypto.randomBytes(16).toString('hex');
  const plaintext = JSON.stringify({ timestamp: Date.now(), nonce, response });
  return { key: wrap(session.clientKey, fresh), payload: seal(fresh, plaintext) };
}

function openSession({ publicKey: clientPem }) {
  const pair = crypto.generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const keep = mode === 'keys';
  const token = crypto.randomUUID();
  sessions.set(token, {
    privateKey: keep ? crypto.createPrivateKey(pair.privateKey) : pair.privateKey,
    clientKey: keep ? crypto.createPublicKey(clientPem) : clientPem,
    nonces: new Set(),
    passphrases: new Set(),
  });
  return { token, publicKey: pair.publicKey };
}

const routes = { '/sessions': openSession, '/.gateway/message': answerMessage };

function answer(url, body) {
  try {
    return [200, routes[url](JSON.parse(body))];
  } catch {
    return [403, { error: 'rejected' }];
  }
}

function serve() {
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const [status, value] = answer(request.url, Buffer.concat(chunks).toString());
      const body = JSON.stringify(value);
      response.writeHead(status, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
        'Cache-Control': 'no-store',
      });
      response.end(body);
    });
  });
  server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
  process.stdin.on('end', () => process.exit(0)).resume();
}

function measureRsa(rounds) {
  const { publicKey, privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  const secret = Buffer.from('0'.repeat(32));
  const start = process.cpuUsage();
  for (let i = 0; i < rounds; i += 1) {
    const wrapped = crypto.publicEncrypt({ key: publicKey, ...OAEP }, secret);
    crypto.privateDecrypt({ key: privateKey, ...OAEP }, wrapped);
  }
  const { user, system } = process.cpuUsage(start);
  console.log(JSON.stringify({ rsa_us: (user + system) / rounds }));
}

if (mode === 'rsa') measureRsa(Number(count));
else serve();
