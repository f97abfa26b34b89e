-- Open sessions and the claims of their messages (PROTOCOL 3.6.3, 2.6.4).
--
-- The claims of a session are in its record, so they can only be lost together with the session.
-- The salts have a key of their own, because they are deleted by their time. If that key is lost,
-- the record contains the time up to which there can have been salts.

---- common
-- Whether the session still has the record sealed, has not expired, and is listed for its user.
local function is_open(record, id, sealed, now_ms)
    local found, expires_ms, user = get(record, 'sealed', 'expires_ms', 'user')
    return found == sealed and tonumber(now_ms) <= tonumber(expires_ms)
        and is_listed('session', id, user)
end

---- load (KEYS: session; ARGV: id, now_ms)
local sealed, expires_ms, user = get(KEYS[2], 'sealed', 'expires_ms', 'user')
return sealed and tonumber(ARGV[3]) <= tonumber(expires_ms)
    and is_listed('session', ARGV[2], user) and sealed

---- swap (KEYS: session; ARGV: old, new)
if redis.call('HGET', KEYS[2], 'sealed') ~= ARGV[2] then
    return 0
end
redis.call('HSET', KEYS[2], 'sealed', ARGV[3])
return 1

---- try_passphrase (KEYS: session; ARGV: id, tag, now_ms, most tries, most passphrases)
local field = 'tag:' .. ARGV[3]
local expires_ms, tries, passphrases, user =
    get(KEYS[2], 'expires_ms', field, 'passphrases', 'user')
if not expires_ms or tonumber(ARGV[4]) > tonumber(expires_ms)
    or not is_listed('session', ARGV[2], user) then
    return 0
end
if tonumber(tries or 0) >= tonumber(ARGV[5]) then
    return 0
end
if not tries then
    if tonumber(passphrases or 0) >= tonumber(ARGV[6]) then
        delete('session', ARGV[2])
        return 0
    end
    redis.call('HINCRBY', KEYS[2], 'passphrases', 1)
end
redis.call('HINCRBY', KEYS[2], field, 1)
return 1

---- claim_tags (KEYS: session; ARGV: nonce tag, passphrase tag, now_ms, claimed)
local nonce, passphrase = 'tag:' .. ARGV[2], 'tag:' .. ARGV[3]
local expires_ms, used, tries = get(KEYS[2], 'expires_ms', nonce, passphrase)
if not expires_ms or tonumber(ARGV[4]) > tonumber(expires_ms) then
    return 0
end
if used or tries == ARGV[5] then
    return 0
end
redis.call('HSET', KEYS[2], nonce, ARGV[5], passphrase, ARGV[5])
return 1

---- claim_salt (KEYS: session, salts; ARGV: id, sealed, now_ms, salt, until_ms, ttl_ms, forget_ms)
if not is_open(KEYS[2], ARGV[2], ARGV[3], ARGV[4]) then
    return -1
end
local last_ms, forgotten_ms = get(KEYS[2], 'salts_until_ms', 'forgotten_ms')
local now_ms, until_ms = tonumber(ARGV[4]), tonumber(ARGV[6])
last_ms, forgotten_ms = tonumber(last_ms or 0), tonumber(forgotten_ms or 0)
-- The salts were lost. Claim no message again that can have been among them.
if last_ms >= forgotten_ms and last_ms > 0 and redis.call('EXISTS', KEYS[3]) == 0 then
    forgotten_ms = last_ms + 1
    redis.call('HSET', KEYS[2], 'forgotten_ms', string.format('%.0f', forgotten_ms))
end
if until_ms < forgotten_ms then
    return now_ms > until_ms and 1 or 0
end
if redis.call('ZADD', KEYS[3], 'NX', ARGV[6], ARGV[5]) == 0 then
    return 0
end
-- At most as long as the session, because the client chooses the times.
extend_ttl(KEYS[3], math.min(tonumber(ARGV[7]), redis.call('PTTL', KEYS[2])))
if until_ms > last_ms then
    redis.call('HSET', KEYS[2], 'salts_until_ms', ARGV[6])
end
local deleted = redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. ARGV[8])
if deleted > 0 and tonumber(ARGV[8]) > forgotten_ms then
    redis.call('HSET', KEYS[2], 'forgotten_ms', ARGV[8])
end
return 1

---- claim_number (KEYS: session; ARGV: id, sealed, now_ms, number, window)
-- RFC 6479: a ring of bits, one for each number, with one byte more than the window. When top
-- enters a byte, that byte is cleared; it has no numbers that are still in the window.
if not is_open(KEYS[2], ARGV[2], ARGV[3], ARGV[4]) then
    return -1
end
local top, seen = get(KEYS[2], 'top', 'seen')
local number, window = tonumber(ARGV[5]), tonumber(ARGV[6])
local size = window / 8 + 1
-- In a new window the number 0 is used.
top, seen = tonumber(top or 0), seen or '\1' .. string.rep('\0', size - 1)
if number <= top - window then
    return 0
end
local byte = math.floor(number / 8)
local at, mask = byte % size, 2 ^ (number % 8)
local entered = byte - math.floor(top / 8)
if entered >= size then
    seen = string.rep('\0', size)
elseif entered > 0 then
    local first = (at - entered + 1) % size
    if first <= at then
        seen = string.sub(seen, 1, first) .. string.rep('\0', entered) .. string.sub(seen, at + 2)
    else
        seen = string.rep('\0', at + 1) .. string.sub(seen, at + 2, first)
            .. string.rep('\0', size - first)
    end
end
local bits = string.byte(seen, at + 1)
if bit.band(bits, mask) ~= 0 then
    return 0
end
seen = string.sub(seen, 1, at) .. string.char(bits + mask) .. string.sub(seen, at + 2)
redis.call('HSET', KEYS[2], 'seen', seen, 'top', number > top and ARGV[5] or string.format('%.0f', top))
return 1

---- end_session (KEYS: login, session, handshake, exchange; ARGV: id)
for _, kind in ipairs({ 'login', 'session', 'handshake', 'exchange' }) do
    delete(kind, ARGV[2])
end
return 1
