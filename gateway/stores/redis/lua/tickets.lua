-- Opens hardened sessions, and stores the chains of tickets (PROTOCOL 2.8). The record of a chain
-- contains its tickets; the record of a ticket is the id of its chain.
--
-- With a ticket store (STORAGE 4) chains and tickets are there. Redis then has the session of each
-- chain, and the record ticket_fence: the generation of the ticket store, its last position that
-- Redis has seen, and the position up to which no claim opens a session any more ("settled").

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
    if o.position then
        local name = key('chain_session', o.chain_id)
        redis.call('HSET', name, 'session', o.session_id, 'position', o.position)
        -- As long as a session of an earlier claim could live.
        redis.call('PEXPIRE', name, o.claim_ttl_ms)
    elseif o.chain_id ~= '' then
        put_chain(o)
    end
end

local ticket_fence = key('ticket_fence', '')

-- Whether a claim of the ticket store can still open its session.
local function is_current(o)
    local generation, settled = get(ticket_fence, 'generation', 'settled')
    return generation == o.generation and tonumber(o.position) > tonumber(settled)
end

-- Notes that Redis has seen a position of the ticket store. A full Redis allows it, because the
-- first write needs no memory.
local function see(field, position, ttl_ms)
    redis.call('PEXPIRE', ticket_fence, ttl_ms)
    if tonumber(redis.call('HGET', ticket_fence, field)) < tonumber(position) then
        redis.call('HSET', ticket_fence, field, position)
    end
end

---- add_chain (KEYS: chain; ARGV: the chain and its ticket, named)
put_chain(named_arguments(2))
return 1

---- open_login (KEYS: handshake; ARGV: the new session and maybe its claim, named)
local o = named_arguments(2)
if o.position and not is_current(o) then
    return -1
end
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
    if o.position then
        see('position', o.position, o.fence_ttl_ms)
    end
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

---- open_redeemed (KEYS: chain_session; ARGV: the new session and its claim, named)
local o = named_arguments(2)
if not is_current(o) then
    return -1
end
local before, position = get(KEYS[2], 'session', 'position')
if before and tonumber(position) > tonumber(o.position) then
    return 0
end
local full = too_many(o.user, before or '', o.per_user, o.in_all, o.now_ms)
if full then
    return full
end
open(o)
if before then
    delete('session', before)
end
see('position', o.position, o.fence_ttl_ms)
return 1

---- ticket_fence: the generation of Redis; the generation and the position of the ticket store
return { ARGV[1], get(ticket_fence, 'generation', 'position') }

---- set_ticket_fence (ARGV: generation, position, before, ttl_ms, the generation of Redis)
-- "before" is the generation of the ticket store that Redis must know, "" for none, "*" for any.
local generation, position = get(ticket_fence, 'generation', 'position')
if generation == ARGV[2] or ARGV[1] ~= ARGV[6] then
    return 0
end
if ARGV[4] ~= '*' and ((generation or '') ~= ARGV[4]
    or generation and tonumber(position) > tonumber(ARGV[3])) then
    return 0
end
-- What was claimed before opens no session: a revocation can have been lost with the fence.
redis.call('HSET', ticket_fence, 'generation', ARGV[2], 'position', ARGV[3], 'settled', ARGV[3])
redis.call('PEXPIRE', ticket_fence, ARGV[5])
return 1

---- end_chains (ARGV: generation, position, ttl_ms, chain id, ...): the chains are revoked
if redis.call('HGET', ticket_fence, 'generation') ~= ARGV[2] then
    return 0
end
see('position', ARGV[3], ARGV[4])
see('settled', ARGV[3], ARGV[4])
for at = 5, #ARGV do
    local session = redis.call('HGET', key('chain_session', ARGV[at]), 'session')
    if session then
        delete('session', session)
    end
end
return 1
