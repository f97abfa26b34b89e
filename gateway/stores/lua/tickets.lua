-- Sessions of the hardened suites as they are opened, and the chains of tickets that lead from one
-- to the next (PROTOCOL 18, 19). A chain's record holds its tickets; a ticket's own names its chain.

---- common
-- The opening: what Opening has, by the same names, and the two times to live.
local function open(o)
    keep('session', o.session_id, o.user, o.expires_ms, o.ttl_ms, 'sealed', o.sealed)
    if o.chain_id == '' then
        return
    end
    keep('chain', o.chain_id, o.user, o.chain_expires_ms, o.chain_ttl_ms,
        'sealed', o.chain, 'session', o.session_id, 'ticket:' .. o.ticket_hash, o.ticket)
    redis.call('SET', key('ticket', o.ticket_hash), o.chain_id)
    -- Spent or not, a ticket is known as long as its chain lives.
    for _, field in ipairs(redis.call('HKEYS', key('chain', o.chain_id))) do
        local hash = string.match(field, '^ticket:(.*)')
        if hash then
            outlive(key('ticket', hash), o.chain_ttl_ms)
        end
    end
end

---- open_login (KEYS: handshake; ARGV: the opening, named)
local o = named(2)
local user, code = get(KEYS[2], 'user', 'code')
local fits = user == o.user
if fits and code ~= '' then
    fits = redis.call('HGET', key('code', user), 'id') == code
end
local full = fits and too_many(user, '', o.per_user, o.in_all, o.now_ms)
if full then
    return full
end
if fits then
    open(o)
    if code ~= '' then
        forget('code', user)
    end
end
forget('handshake', o.session_id)
return fits and 1 or 0

---- open_resumed (KEYS: chain; ARGV: the opening and previous, named)
local o = named(2)
local sealed, user, before = get(KEYS[2], 'sealed', 'user', 'session')
if sealed ~= o.previous or user ~= o.user then
    return 0
end
local full = too_many(user, before, o.per_user, o.in_all, o.now_ms)
if full then
    return full
end
open(o)
forget('session', before)
return 1

---- load_ticket (KEYS: ticket; ARGV: ticket hash, now_ms)
local chain_id = redis.call('GET', KEYS[2])
if not chain_id then
    return false
end
local ticket, chain, expires_ms =
    get(key('chain', chain_id), 'ticket:' .. ARGV[2], 'sealed', 'expires_ms')
if not ticket or tonumber(ARGV[3]) > tonumber(expires_ms) then
    return false
end
return { ticket, chain }

---- end_chain (KEYS: chain; ARGV: chain id)
local session = redis.call('HGET', KEYS[2], 'session')
if session then
    forget('session', session)
    forget('chain', ARGV[2])
end
return 1
