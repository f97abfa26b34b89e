-- Opens hardened sessions, and stores the chains of tickets (PROTOCOL 2.8). The record of a chain
-- contains its tickets; the record of a ticket is the id of its chain.

---- common
-- `o` has the fields of NewSession or NewChain, and the lifetimes of the keys.
local function put_chain(o)
    -- Used tickets too are stored as long as their chain. Their keys get a quarter more than the
    -- present lifetime of the chain, so that few redemptions must extend all keys.
    local chain, ttl_ms = key('chain', o.chain_id), tonumber(o.chain_ttl_ms)
    local expires_ms = tonumber(o.chain_expires_ms)
    local until_ms = tonumber(redis.call('HGET', chain, 'tickets_until_ms') or 0)
    local is_short = until_ms < expires_ms
    if is_short then
        until_ms = expires_ms + math.floor(ttl_ms / 4)
    end
    put('chain', o.chain_id, o.user, o.chain_expires_ms, o.chain_ttl_ms,
        'sealed', o.chain, 'session', o.session_id, 'ticket:' .. o.ticket_hash, o.ticket,
        'seen_ms', o.seen_ms, 'tickets_until_ms', string.format('%.0f', until_ms))
    ttl_ms = string.format('%.0f', ttl_ms + until_ms - expires_ms)
    redis.call('SET', key('ticket', o.ticket_hash), o.chain_id, 'PX', ttl_ms)
    for _, field in ipairs(is_short and redis.call('HKEYS', chain) or {}) do
        local hash = string.match(field, '^ticket:(.*)')
        if hash then
            extend_ttl(key('ticket', hash), ttl_ms)
        end
    end
end

local function open(o)
    put('session', o.session_id, o.user, o.expires_ms, o.ttl_ms, 'sealed', o.sealed)
    if o.chain_id ~= '' then
        put_chain(o)
    end
end

---- add_chain (KEYS: chain; ARGV: the chain and its ticket, named)
put_chain(named_arguments(2))
return 1

---- open_login (KEYS: handshake; ARGV: the new session, named)
local o = named_arguments(2)
local user, code, device = get(KEYS[2], 'user', 'code', 'device')
local fits = user == o.user
local slot = o.user .. (device or '')
if fits and code ~= '' then
    fits = redis.call('HGET', key('code', slot), 'id') == code
end
local full = fits and too_many(user, '', o.per_user, o.in_all, o.now_ms)
if full then
    return full
end
if fits then
    open(o)
    if code ~= '' then
        delete('code', slot)
    end
end
delete('handshake', o.session_id)
return fits and 1 or 0

---- open_resumed (KEYS: chain; ARGV: the new session and previous, named)
local o = named_arguments(2)
local sealed, user, before, revoked = get(KEYS[2], 'sealed', 'user', 'session', 'revoked')
if sealed ~= o.previous or user ~= o.user or revoked
    or not is_listed('chain', o.chain_id, user) then
    return 0
end
local full = too_many(user, before, o.per_user, o.in_all, o.now_ms)
if full then
    return full
end
open(o)
delete('session', before)
return 1

---- load_ticket (KEYS: ticket; ARGV: ticket hash, now_ms)
local chain_id = redis.call('GET', KEYS[2])
if not chain_id then
    return false
end
local ticket, chain, expires_ms, user =
    get(key('chain', chain_id), 'ticket:' .. ARGV[2], 'sealed', 'expires_ms', 'user')
if not ticket or tonumber(ARGV[3]) > tonumber(expires_ms)
    or not is_listed('chain', chain_id, user) then
    return false
end
return { ticket, chain }

---- end_chain (KEYS: chain; ARGV: chain id)
local session, seen_ms = get(KEYS[2], 'session', 'seen_ms')
if not session then
    return 1
end
delete('session', session)
-- An earlier version has stored no seen_ms.
if not seen_ms or seen_ms == '' then
    delete('chain', ARGV[2])
    return 1
end
redis.call('HSET', KEYS[2], 'revoked', 1)
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
    local hash = string.match(field, '^ticket:(.*)')
    if hash then
        redis.call('DEL', key('ticket', hash))
        redis.call('HDEL', KEYS[2], field)
    end
end
return 1

---- see_device (KEYS: chain; ARGV: seen_ms)
local before_ms = redis.call('HGET', KEYS[2], 'seen_ms')
if before_ms and before_ms ~= '' and tonumber(before_ms) < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[2], 'seen_ms', ARGV[2])
end
return 1
