-- Hardened logins (PROTOCOL 2.4), and the codes that an operator issues (PROTOCOL 2.8.4).

---- add_handshake (KEYS: handshake; ARGV: id, user, sealed, expires_ms, ttl_ms, code id or '')
put('handshake', ARGV[2], ARGV[3], ARGV[5], ARGV[6],
    'sealed', ARGV[4], 'code', ARGV[7], 'attempts', 0)
return 1

---- claim_attempt (KEYS: handshake; ARGV: id, now_ms, most attempts)
local sealed, expires_ms, attempts, code, user =
    get(KEYS[2], 'sealed', 'expires_ms', 'attempts', 'code', 'user')
local now_ms, most = tonumber(ARGV[3]), tonumber(ARGV[4])
if not sealed or now_ms > tonumber(expires_ms) or tonumber(attempts) >= most then
    return false
end
local number = tonumber(attempts) + 1
redis.call('HSET', KEYS[2], 'attempts', number, 'sealed', number < most and sealed or '')
local is_void = 0
if code ~= '' then
    local issued = key('code', user)
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

---- add_code (KEYS: code; ARGV: user, code id, sealed, expires_ms, ttl_ms)
put('code', ARGV[2], ARGV[2], ARGV[5], ARGV[6],
    'sealed', ARGV[4], 'id', ARGV[3], 'attempts', 0)
return 1

---- find_code (KEYS: code; ARGV: now_ms, most attempts)
local id, sealed, expires_ms, attempts = get(KEYS[2], 'id', 'sealed', 'expires_ms', 'attempts')
if not id or tonumber(ARGV[2]) > tonumber(expires_ms) or tonumber(attempts) >= tonumber(ARGV[3]) then
    return false
end
return { id, sealed }

---- end_codes (KEYS: code; ARGV: user)
return delete('code', ARGV[2])
