-- What every script begins with: the fence (PROTOCOL 20.1), and how a record is kept and forgotten.
--
-- KEYS[1] is the fence's record and ARGV[1] the generation that the gateway lives in; what follows
-- is each script's own, and said beside it. Times are milliseconds. A Redis that is full refuses
-- the first write that needs room, so that such a one comes before any that takes something away.

local history = redis.call('INFO', 'replication')
if not string.find(history, 'role:master', 1, true) then
    return redis.error_reply('READONLY this is a replica')
end
local fence = redis.call('HMGET', KEYS[1], 'replid', 'generation')
if fence[1] ~= string.match(history, 'master_replid:(%x+)') or fence[2] ~= ARGV[1] then
    return redis.error_reply('FENCED the history is another')
end

local room = string.sub(KEYS[1], 1, -string.len('fence') - 1) .. ARGV[1] .. ':'

local function key(kind, id)
    return room .. kind .. ':' .. id
end

local function get(record, ...)
    return unpack(redis.call('HMGET', record, ...))
end

-- The arguments from the given one on, each after its name.
local function named(from)
    local found = {}
    for at = from, #ARGV, 2 do
        found[ARGV[at]] = ARGV[at + 1]
    end
    return found
end

-- A key lives for ttl_ms at least.
local function outlive(name, ttl_ms)
    if redis.call('PTTL', name) < tonumber(ttl_ms) then
        redis.call('PEXPIRE', name, ttl_ms)
    end
end

-- Two indices, of all and of a user: ids of a kind by the time they expire.
local function all(kind)
    return room .. 'all:' .. kind
end

local function of(user, kind)
    return room .. 'of:' .. kind .. ':' .. user
end

-- What is not in the index of its user (an evicting Redis may take that alone) could not be ended
-- with all that he has, and so is not there.
local function is_listed(kind, id, user)
    return redis.call('ZSCORE', of(user, kind), id)
end

local function keep(kind, id, user, expires_ms, ttl_ms, ...)
    local record = key(kind, id)
    redis.call('HSET', record, 'expires_ms', expires_ms, 'user', user, ...)
    redis.call('PEXPIRE', record, ttl_ms)
    for _, index in ipairs(user ~= '' and { all(kind), of(user, kind) } or { all(kind) }) do
        redis.call('ZADD', index, expires_ms, id)
        outlive(index, ttl_ms)
    end
end

-- How many there were: 1 or 0.
local function forget(kind, id)
    local record = key(kind, id)
    local user = redis.call('HGET', record, 'user')
    if user then
        redis.call('ZREM', of(user, kind), id)
    end
    redis.call('ZREM', all(kind), id)
    if kind == 'session' then
        redis.call('DEL', key('salts', id))
    elseif kind == 'chain' then
        for _, field in ipairs(redis.call('HKEYS', record)) do
            local hash = string.match(field, '^ticket:(.*)')
            if hash then
                redis.call('DEL', key('ticket', hash))
            end
        end
    end
    return redis.call('DEL', record)
end

-- Where a session of user, in place of the session before, would be one too many: whose sessions
-- are as many as may be, and until when the first of them is open.
local function too_many(user, before, per_user, in_all, now_ms)
    for _, capped in ipairs({
        { 'user', tonumber(per_user), of(user, 'session') },
        { 'all', tonumber(in_all), all('session') },
    }) do
        local whose, cap, index = unpack(capped)
        if cap > 0 then
            local count = redis.call('ZCOUNT', index, now_ms, '+inf')
            local replaced = redis.call('ZSCORE', index, before)
            if replaced and tonumber(replaced) >= tonumber(now_ms) then
                count = count - 1
            end
            if count >= cap then
                local first = redis.call(
                    'ZRANGEBYSCORE', index, now_ms, '+inf', 'WITHSCORES', 'LIMIT', 0, 2)
                return { whose, first[1] == before and first[4] or first[2] }
            end
        end
    end
end
