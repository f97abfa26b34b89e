-- Hardened logins (PROTOCOL 2.4), and the codes that an operator issues (PROTOCOL 2.8.4).
--
-- A code is stored in the slot of its user, or of one device of its user: the tag of the user, and
-- the tag of the device after it.

---- add_handshake (KEYS: handshake; ARGV: id, user, sealed, expires_ms, ttl_ms, code id, device)
-- The code id and the device can be empty.
put('handshake', ARGV[2], ARGV[3], ARGV[5], ARGV[6],
    'sealed', ARGV[4], 'code', ARGV[7], 'device', ARGV[8], 'attempts', 0)
return 1

---- claim_attempt (KEYS: handshake; ARGV: id, now_ms, most attempts)
local sealed, expires_ms, attempts, code, user, device =
    get(KEYS[2], 'sealed', 'expires_ms', 'attempts', 'code', 'user', 'device')
local now_ms, most = tonumber(ARGV[3]), tonumber(ARGV[4])
if not sealed or now_ms > tonumber(expires_ms) or tonumber(attempts) >= most then
    return false
end
local number = tonumber(attempts) + 1
redis.call('HSET', KEYS[2], 'attempts', number, 'sealed', number < most and sealed or '')
local is_void = 0
if code ~= '' then
    -- An earlier version has stored no device.
    local issued = key('code', user .. (device or ''))
    local id, until_ms, tried = get(issued, 'id', 'expires_ms', 'attempts')
    if id == code and now_ms <= tonumber(until_ms) and tonumber(tried) < most then
        redis.call('HINCRBY', issued, 'attempts', 1)
    else
        is_void = 1
    end
end
delete('exchange', ARGV[2])
return { sealed, number, is_void }

---- add_exchange (KEYS: handshake; ARGV: id, sealed, expires_ms, ttl_ms, attempt)
if (redis.call('HGET', KEYS[2], 'attempts') or '0') ~= ARGV[6] then
    return 0
end
put('exchange', ARGV[2], '', ARGV[4], ARGV[5], 'sealed', ARGV[3])
return 1

---- take_exchange (KEYS: exchange; ARGV: id, now_ms)
local sealed, expires_ms = get(KEYS[2], 'sealed', 'expires_ms')
delete('exchange', ARGV[2])
return sealed and tonumber(ARGV[3]) <= tonumber(expires_ms) and sealed

---- add_codes (ARGV: user, slot, code id, sealed, expires_ms, ttl_ms, ...)
for at = 2, #ARGV, 6 do
    local user, slot, id, sealed, expires_ms, ttl_ms = unpack(ARGV, at, at + 5)
    put('code', slot, user, expires_ms, ttl_ms, 'sealed', sealed, 'id', id, 'attempts', 0)
end
return 1

---- find_code (KEYS: code; ARGV: now_ms, most attempts)
local id, sealed, expires_ms, attempts = get(KEYS[2], 'id', 'sealed', 'expires_ms', 'attempts')
if not id or tonumber(ARGV[2]) > tonumber(expires_ms) or tonumber(attempts) >= tonumber(ARGV[3]) then
    return false
end
return { id, sealed }

---- end_codes (KEYS: the user's codes; ARGV: slot, or none for all codes of the user)
local ended = 0
for _, slot in ipairs(ARGV[2] and { ARGV[2] } or redis.call('ZRANGE', KEYS[2], 0, -1)) do
    ended = ended + delete('code', slot)
end
return ended
