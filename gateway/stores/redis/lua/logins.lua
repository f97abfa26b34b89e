-- Classic logins (PROTOCOL 3.7.1). A NEW login has no record; an ENROLLED one is a session.

---- add_login (KEYS: login, session; ARGV: id, user, sealed, expires_ms, ttl_ms, state)
if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then
    return 0
end
put('login', ARGV[2], ARGV[3], ARGV[5], ARGV[6],
    'sealed', ARGV[4], 'state', ARGV[7], 'attempts', 0)
return 1

---- claim_code (KEYS: login; ARGV: now_ms, from, to)
local sealed, expires_ms, state = get(KEYS[2], 'sealed', 'expires_ms', 'state')
if state ~= ARGV[3] or tonumber(ARGV[2]) > tonumber(expires_ms) then
    return false
end
redis.call('HSET', KEYS[2], 'state', ARGV[4])
redis.call('HINCRBY', KEYS[2], 'attempts', 1)
return sealed

---- release_code (KEYS: login; ARGV: id, from, to, most attempts)
local state, attempts = get(KEYS[2], 'state', 'attempts')
if state ~= ARGV[3] then
    return 0
end
if tonumber(attempts) < tonumber(ARGV[5]) then
    redis.call('HSET', KEYS[2], 'state', ARGV[4])
else
    delete('login', ARGV[2])
end
return 1

---- enrol (KEYS: login; ARGV: id, from, sealed, expires_ms, ttl_ms, per_user, in_all, now_ms)
local state, user = get(KEYS[2], 'state', 'user')
if state ~= ARGV[3] then
    return 0
end
local full = too_many(user, '', ARGV[7], ARGV[8], ARGV[9])
if full then
    return full
end
put('session', ARGV[2], user, ARGV[5], ARGV[6], 'sealed', ARGV[4])
delete('login', ARGV[2])
return 1
