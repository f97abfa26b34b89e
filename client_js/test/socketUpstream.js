/** WebSockets of the API behind the gateway, each under a path of its own. */
import { WebSocketServer } from 'ws';

const KIB = Buffer.alloc(1024, 0x5a);

/**
 * `/ws/echo` echoes, `/ws/close?code&reason` closes at the first message, `/ws/cut` ends without a close, `/ws/info` tells
 * the headers, `/ws/room` does so and sets a cookie, `/ws/flood?count` sends messages of 1 KiB at once and echoes as well,
 * `/ws/talk?count` sends numbered messages and closes, `/ws/sum` answers with the number of bytes received, `/ws/refuse`
 * answers 403.
 */
export class SocketUpstream {
  #waiting = new Map();
  #open = new Set();
  #server;

  constructor(server) {
    this.#server = new WebSocketServer({
      noServer: true,
      handleProtocols: (offered) => (offered.has('chat.v2') ? 'chat.v2' : false),
    });
    this.#server.on('headers', (headers, { url }) => {
      if (url === '/ws/room') headers.push('Set-Cookie: room=2; Path=/');
    });
    server.on('upgrade', (request, socket, head) => {
      const { pathname, searchParams } = new URL(request.url, 'http://upstream');
      if (!this[pathname] || pathname === '/ws/refuse') {
        socket.end('HTTP/1.1 403 Forbidden\r\nX-Own: no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        return;
      }
      this.#server.handleUpgrade(request, socket, head, (ws) => {
        this.#open.add(ws);
        ws.on('close', (code, reason) => {
          this.#open.delete(ws);
          this.#waiting.get(request.url)?.([code, `${reason}`]);
        });
        ws.on('error', () => {});
        this[pathname](ws, searchParams, request);
      });
    });
  }

  /** Code and reason with which the next WebSocket of `target` ends. */
  ended(target) {
    return new Promise((resolve) => this.#waiting.set(target, resolve));
  }

  stop() {
    for (const ws of this.#open) ws.terminate();
  }

  '/ws/echo'(ws) {
    ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
  }

  '/ws/close'(ws, query) {
    const code = query.get('code');
    ws.on('message', () => ws.close(code ? Number(code) : undefined, query.get('reason') ?? undefined));
  }

  '/ws/cut'(ws) {
    ws.on('message', () => ws.terminate());
  }

  '/ws/info'(ws, query, { url, headers }) {
    ws.send(JSON.stringify({ url, headers }));
  }

  '/ws/room'(ws, query, request) {
    this['/ws/info'](ws, query, request);
  }

  '/ws/flood'(ws, query) {
    for (let left = Number(query.get('count')); left > 0; left -= 1) ws.send(KIB);
    this['/ws/echo'](ws);
  }

  '/ws/talk'(ws, query) {
    for (let at = 0; at < Number(query.get('count')); at += 1) ws.send(`${at}`);
    ws.close(1000, 'all');
  }

  '/ws/sum'(ws) {
    ws.on('message', (data) => ws.send(`${data.length}`));
  }
}
