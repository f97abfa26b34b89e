// A WebSocket through a session, from Node 18 on.
// Usage: node websocket_client.mjs http://127.0.0.1:8440 ann@example.org
import { createInterface } from 'node:readline/promises';
import { login } from 'certless';

async function code() {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  return terminal.question('Code from the mail: ').finally(() => terminal.close());
}

const [url, username] = process.argv.slice(2);
const session = await login({ url, username, code });
const socket = new session.WebSocket('/chat', ['chat.v2']);
socket.onopen = () => socket.send('Räksmörgås');
socket.onmessage = ({ data }) => {
  console.log(`${socket.protocol}: ${data}`);
  socket.close(1000);
};
socket.onerror = ({ error }) => console.error(error.message);
socket.onclose = ({ wasClean }) => {
  process.exitCode = wasClean ? 0 : 1;
  void session.close();
};
