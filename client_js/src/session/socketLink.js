/** A WebSocket that is open in the engine (PROTOCOL §2.11). */
import { Cancelled, StreamAborted } from '../common/errors.js';
import { SESSION_ENDED } from './bodyStream.js';

/** @typedef {import('./gatewayClient.js').GatewayClient} GatewayClient */
/** @typedef {import('./webSocket.js').SocketLink} SocketLink */

/**
 * @param {GatewayClient} client
 * @param {number} stream the number of the WebSocket in the engine
 * @param {string} protocol
 * @returns {SocketLink}
 */
export function socketLink(client, stream, protocol) {
  /** @param {'read' | 'send' | 'close'} name @param {any} values */
  const ask = (name, ...values) =>
    client.ask('socket', { stream, name, values }).catch((error) => {
      throw error instanceof Cancelled ? new StreamAborted(SESSION_ENDED) : error;
    });
  return {
    protocol,
    read: () => ask('read'),
    send: (messages) => ask('send', messages),
    close: (code, reason) => ask('close', code, reason),
    cancel: () => void client.ask('streamCancel', { stream }).catch(() => {}),
  };
}
