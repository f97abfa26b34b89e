/** Names of a certificate as the user types them: DNS names, IP addresses and mail addresses (RFC 5280 §4.2.1.6). */
import { utf8 } from '../common/codec.js';
import { IssuingError } from './errors.js';

const [MAIL, DNS, IP] = [1, 2, 7];
const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const DNS_NAME = new RegExp(`^(?:\\*\\.)?(?:${LABEL}\\.)*${LABEL}$`);
const MAIL_ADDRESS = /^[!#-'*+./0-9=?A-Z^_`a-z{|}~-]{1,64}@[a-z0-9.-]{1,255}$/;

/** The host as URLs have it: in lower case, in ASCII, IP addresses in one form. "" if it is none. @param {string} text */
function host(text) {
  try {
    const { hostname, pathname, username, port } = new URL(`http://${text}/`);
    return pathname === '/' && !username && !port ? hostname : '';
  } catch {
    return '';
  }
}

/** The 16 bytes of an address in the form of URLs. @param {string} text */
function ipv6(text) {
  const [before, after] = text.split('::').map((half) => (half ? half.split(':') : []));
  const groups = after ? [...before, ...Array(8 - before.length - after.length).fill('0'), ...after] : before;
  return Uint8Array.from(groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]));
}

/**
 * The number of the GeneralName's alternative, and its content.
 * @param {string} typed
 * @throws {IssuingError}
 */
export function generalName(typed) {
  const text = typed.trim();
  if (text.includes('@')) {
    const [local, domain] = [text.slice(0, text.lastIndexOf('@')), host(text.slice(text.lastIndexOf('@') + 1))];
    if (MAIL_ADDRESS.test(`${local}@${domain}`)) return { tag: MAIL, value: utf8(`${local}@${domain}`) };
  } else if (/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(text)) {
    const found = host(`[${text}]`);
    if (found) return { tag: IP, value: ipv6(found.slice(1, -1)) };
  } else if (/^\d+(\.\d+){3}$/.test(text)) {
    // A URL takes 010 as an octal number, so only the usual form is an address here.
    if (host(text) === text) return { tag: IP, value: Uint8Array.from(text.split('.').map(Number)) };
  } else {
    const star = text.startsWith('*.') ? '*.' : '';
    const name = star + host(text.slice(star.length));
    if (name.length <= 253 && DNS_NAME.test(name) && !/^[\d.]+$/.test(name)) return { tag: DNS, value: utf8(name) };
  }
  throw new IssuingError('input', `“${text.slice(0, 80)}” is not a DNS name, an IP address or a mail address.`);
}
