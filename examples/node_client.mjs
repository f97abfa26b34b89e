// A complete client in the dialect article-2016, for Node 18 and newer, with nothing to install.
// Usage: node node_client.mjs http://127.0.0.1:8440 ann@example.org
import crypto, { constants } from 'node:crypto';
import { createInterface } from 'node:readline/promises';

const md5 = (...parts) => crypto.createHash('md5').update(Buffer.concat(parts)).digest();
const hex = (bytes) => Buffer.from(bytes.toString('hex'));  // 16 bytes as a passphrase of 32
const stamp = (fields) => ({ timestamp: Date.now(), nonce: crypto.randomUUID(), ...fields });

// AES-256-CTR, both ways, keyed as crypto.createCipher did until Node 22 dropped it.
function aes(passphrase, data) {
  const first = md5(passphrase), second = md5(first, passphrase), iv = md5(second, passphrase);
  return crypto.createCipheriv('aes-256-ctr', Buffer.concat([first, second]), iv).update(data);
}
const seal = (passphrase, value) => aes(passphrase, JSON.stringify(value)).toString('base64');
const wrap = (key, secret) =>
  crypto.publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, secret).toString('base64');

// Some Nodes refuse to take PKCS#1 v1.5 padding off, so it stays on: the passphrase is always the
// last 32 bytes. With any wrong padding the payload then does not open, as with any wrong key.
function open(key, sealed) {
  const wrapped = Buffer.from(sealed.key, 'base64');
  try {
    const block = crypto.privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, wrapped);
    return JSON.parse(aes(block.subarray(-32), Buffer.from(sealed.payload, 'base64')));
  } catch { throw new Error('the answer is not sealed to us'); }
}
async function post(url, route, message) {
  const headers = { 'Content-Type': 'application/json' }, body = JSON.stringify(message);
  const answer = await fetch(`${url}/.gateway${route}`, { method: 'POST', headers, body });
  if (!answer.ok) throw new Error(`${route} was answered ${answer.status} ${answer.statusText}`);
  return answer.json();
}
async function login(url, username, askCode) {
  const options = { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' } };
  const { publicKey, privateKey } = crypto.generateKeyPairSync('rsa', options);
  const { token } = await post(url, '/session', { username });
  const payload = seal(hex(md5(Buffer.from(await askCode()))), stamp({ publicKey }));
  const session = open(privateKey, await post(url, '/session/authenticate', { token, payload }));
  return async function call(method, path, body) {
    const passphrase = hex(crypto.randomBytes(16));  // never the same twice in a session
    const inside = stamp({ request: { method, path, headers: [], body } });
    const sealed = { key: wrap(session.publicKey, passphrase), payload: seal(passphrase, inside) };
    const { nonce, response } = open(privateKey, await post(url, '/message', { token, ...sealed }));
    if (nonce !== inside.nonce) throw new Error('the answer is to another request');
    return { ...response, body: Buffer.from(response.body, response.encoding) };
  };
}
async function askCode() {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  return (await terminal.question('Code from the mail: ').finally(() => terminal.close())).trim();
}
try {
  const call = await login(process.argv[2], process.argv[3], askCode);
  const { status, body } = await call('POST', '/orders', { item: 'Räksmörgås', quantity: 2 });
  console.log(status, body.toString());
} catch (error) {
  console.error(`${error.message} ${error.cause?.code ?? ''}`.trim());
  process.exitCode = 1;
}
