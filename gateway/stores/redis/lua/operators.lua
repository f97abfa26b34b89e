-- Counters, lists, and changes of many records.

---- ping (a full Redis refuses the write)
redis.call('SET', prefix .. 'ping', '', 'PX', 60000)
return 1

---- count_mail (KEYS: mails; ARGV: now_ms, window_ms, ttl_ms, limit)
local recent = {}
for _, at_ms in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    if math.abs(tonumber(ARGV[2]) - tonumber(at_ms)) < tonumber(ARGV[3]) then
        recent[#recent + 1] = at_ms
    end
end
if #recent >= tonumber(ARGV[5]) then
    return 0
end
redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('LTRIM', KEYS[2], -#recent - 1, -1)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1

---- count (KEYS: counter; ARGV: amount, expires_ms, ttl_ms, now_ms)
local value, expires_ms = get(KEYS[2], 'value', 'expires_ms')
local amount = tonumber(ARGV[2])
if not value or tonumber(ARGV[5]) > tonumber(expires_ms) then
    value, expires_ms = 0, ARGV[3]
    if amount > 0 then
        redis.call('HSET', KEYS[2], 'value', 0, 'expires_ms', expires_ms)
        redis.call('PEXPIRE', KEYS[2], ARGV[4])
    end
end
if amount > 0 then
    value = redis.call('HINCRBY', KEYS[2], 'value', amount)
    if tonumber(expires_ms) > tonumber(ARGV[3]) then
        expires_ms = ARGV[3]
        redis.call('HSET', KEYS[2], 'expires_ms', expires_ms)
    end
end
return { tonumber(value), tonumber(expires_ms) }

---- count_sessions (ARGV: now_ms)
return redis.call('ZCOUNT', all('session'), ARGV[2], '+inf')

---- ids (ARGV: kind, now_ms): the records that have not expired
return redis.call('ZRANGEBYSCORE', all(ARGV[2]), ARGV[3], '+inf')

---- records (ARGV: kind, id, ...)
-- For each: kind, id, the id it is sealed under, sealed record, expires_ms, user, seen_ms, revoked.
-- The tickets of a chain follow it; their id is the id of the chain. Texts can be empty.
local found = {}
for at = 3, #ARGV do
    local record = key(ARGV[2], ARGV[at])
    local sealed, expires_ms, id, user, seen_ms, revoked =
        get(record, 'sealed', 'expires_ms', 'id', 'user', 'seen_ms', 'revoked')
    if sealed and sealed ~= '' then
        found[#found + 1] = {
            ARGV[2], ARGV[at], id or ARGV[at], sealed, tonumber(expires_ms),
            user or '', seen_ms or '', revoked or '' }
    end
    local fields = ARGV[2] == 'chain' and redis.call('HGETALL', record) or {}
    for n = 1, #fields, 2 do
        local hash = string.match(fields[n], '^ticket:(.*)')
        if hash then
            found[#found + 1] = {
                'ticket', ARGV[at], hash, fields[n + 1], tonumber(expires_ms), user or '', '', '' }
        end
    end
end
return found

---- tag_key (KEYS: tag key; ARGV: ttl_ms)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return redis.call('HGET', KEYS[2], 'sealed')

---- users: the tags of all users with records
local found, seen = {}, {}
for _, kind in ipairs({ 'session', 'login', 'handshake', 'chain', 'code' }) do
    for _, id in ipairs(redis.call('ZRANGE', all(kind), 0, -1)) do
        local user = redis.call('HGET', key(kind, id), 'user')
        if user and user ~= '' and not seen[user] then
            seen[user] = true
            found[#found + 1] = user
        end
    end
end
return found

---- keep_tag_key (KEYS: tag key, staged; ARGV: id, sealed, ttl_ms): the stored key
-- The staged pairs are an old and a new tag. The records of the old tag move to the new one.
local sealed = redis.call('HGET', KEYS[2], 'sealed')
if sealed then
    redis.call('DEL', KEYS[3])
    return sealed
end
-- In the index of expiring records, so that it is resealed with them. It never expires.
local never = '9007199254740991'
redis.call('HSET', KEYS[2], 'sealed', ARGV[3], 'expires_ms', never)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('ZADD', all('tag_key'), never, ARGV[2])
redis.call('PEXPIRE', all('tag_key'), ARGV[4])
local staged = redis.call('LRANGE', KEYS[3], 0, -1)
for at = 1, #staged, 2 do
    local old, new = staged[at], staged[at + 1]
    for _, kind in ipairs({ 'session', 'login', 'handshake', 'chain' }) do
        for _, id in ipairs(redis.call('ZRANGE', of(old, kind), 0, -1)) do
            redis.call('HSET', key(kind, id), 'user', new)
        end
        if redis.call('EXISTS', of(old, kind)) == 1 then
            redis.call('RENAME', of(old, kind), of(new, kind))
        end
    end
    local code_expires_ms = redis.call('ZSCORE', all('code'), old)
    if code_expires_ms then
        redis.call('RENAME', key('code', old), key('code', new))
        redis.call('HSET', key('code', new), 'user', new)
        redis.call('ZREM', all('code'), old)
        redis.call('ZADD', all('code'), code_expires_ms, new)
        redis.call('RENAME', of(old, 'code'), of(new, 'code'))
        redis.call('ZREM', of(new, 'code'), old)
        redis.call('ZADD', of(new, 'code'), code_expires_ms, new)
    end
end
redis.call('DEL', KEYS[3])
return ARGV[3]

---- stage (KEYS: staged; ARGV: ttl_ms, then kind, id, the id it is sealed under, old, new, ...)
redis.call('RPUSH', KEYS[2], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1

---- unstage (KEYS: staged)
return redis.call('UNLINK', KEYS[2])

---- reseal (KEYS: staged): the number of changes
-- Skips records that a gateway has changed or deleted meanwhile.
local changed = 0
for first = 0, redis.call('LLEN', KEYS[2]) - 1, 500 do
    local staged = redis.call('LRANGE', KEYS[2], first, first + 499)
    for at = 1, #staged, 5 do
        local kind, id, under, old, new = unpack(staged, at, at + 4)
        local record, field = key(kind, id), 'sealed'
        if kind == 'ticket' then
            record, field = key('chain', id), 'ticket:' .. under
        end
        if redis.call('HGET', record, field) == old then
            redis.call('HSET', record, field, new)
            changed = changed + 1
        end
    end
end
redis.call('DEL', KEYS[2])
return changed

---- end_user (KEYS: the user's sessions, logins, handshakes, chains, codes)
local sessions = 0
for at, kind in ipairs({ 'session', 'login', 'handshake', 'chain', 'code' }) do
    for _, id in ipairs(redis.call('ZRANGE', KEYS[at + 1], 0, -1)) do
        local ended = delete(kind, id)
        if kind == 'session' then
            sessions = sessions + ended
        elseif kind == 'handshake' then
            delete('exchange', id)
        end
    end
end
return sessions

---- sweep (ARGV: now_ms, most of a kind): number of sessions and logins; whether more are left
-- Records must have expired by the clock of Redis too, so that a gateway with a fast clock does not
-- end the sessions of others.
local now_us = string.match(redis.call('INFO', 'server'), 'server_time_usec:(%d+)')
local now_ms = math.min(tonumber(ARGV[2]), math.floor((now_us or 'inf') / 1000))
local swept, more = 0, 0
for _, kind in ipairs({ 'session', 'login', 'handshake', 'exchange', 'code', 'chain' }) do
    local expired = redis.call(
        'ZRANGEBYSCORE', all(kind), '-inf', string.format('(%.0f', now_ms), 'LIMIT', 0, ARGV[3])
    for _, id in ipairs(expired) do
        delete(kind, id)
    end
    if kind == 'session' or kind == 'login' or kind == 'handshake' then
        swept = swept + #expired
    end
    if #expired == tonumber(ARGV[3]) then
        more = 1
    end
end
return { swept, more }
