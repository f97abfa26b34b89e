// The meaning of each part of a message for a listener: readable, the same in every message,
// sealed, or blind. Blind bytes look random without a key, so no guess can be tested on them.

const OPEN = 'open';
const MEANINGS = {
  username: OPEN, suites: OPEN, suite: OPEN, fresh: OPEN, expires_s: OPEN, kind: OPEN, epoch: OPEN, time: OPEN,
  number: OPEN, ticket: OPEN, error: OPEN, message: OPEN, v: OPEN, magic: OPEN, answers: OPEN, 'wrapped hash': OPEN,
  token: 'same', sid: 'same',
  key: 'sealed', iv: 'sealed', payload: 'sealed', wrapped: 'sealed', sealed: 'sealed', box: 'sealed',
  cn: 'blind', sn: 'blind', pA: 'blind', pB: 'blind', cA: 'blind', cB: 'blind', eC: 'blind', eS: 'blind',
  salt: 'blind',
};
const CLASSIC_MEMBERS = /"(?<name>username|token|key|iv|payload)":"(?<value>[^"]*)/dg;

/** One direction of an exchange as pieces `[text, meaning]`. A meaning is `head`, `name`, one of the above, or empty. */
export function pieces(side, kind) {
  const { head, text, members, type } = side;
  if (kind === 'plain') return [[head, 'head'], [text, OPEN]];
  return [[head, 'head'], ...(members ? listed(members, type) : classic(text))];
}

function listed(members, type) {
  const format = type === 'application/msgpack' ? 'msgpack, shown as members, bytes in hex' : 'JSON, shown as members';
  const lines = members.flatMap(({ name, text, isField }) => [
    [`\n${isField ? '  ' : ''}${name}${text && ' '}`, 'name'],
    [text, MEANINGS[name] ?? ''],
  ]);
  return [[`(${format})`, 'head'], ...lines];
}

function classic(text) {
  const found = [];
  let done = 0;
  for (const { groups, indices } of text.matchAll(CLASSIC_MEMBERS)) {
    const [from, to] = indices.groups.value;
    found.push([text.slice(done, from), ''], [text.slice(from, to), MEANINGS[groups.name]]);
    done = to;
  }
  return [...found, [text.slice(done), '']];
}
