-- The beginning of every script: checks the fence (STORAGE 3), and adds and deletes records.
--
-- KEYS[1] is the record of the fence, and ARGV[1] the generation of the gateway. The heading of
-- each script lists its other keys and arguments. Times are milliseconds. A full Redis refuses the
-- first write that needs memory, so scripts do such a write before they delete anything.

local history = redis.call('INFO', 'replication')
if not string.find(history, 'role:master', 1, true) then
    return redis.error_reply('READONLY this is a replica')
end
local fence = redis.call('HMGET', KEYS[1], 'replid', 'generation')
if fence[1] ~= string.match(history, 'master_replid:(%x+)') or fence[2] ~= ARGV[1] then
    return redis.error_reply('FENCED the history has changed')
end

local prefix = string.sub(KEYS[1], 1, -string.len('fence') - 1) .. ARGV[1] .. ':'

local function key(kind, id)
    return prefix .. kind .. ':' .. id
end

local function get(record, ...)
    return unpack(redis.call('HMGET', record, ...))
end

-- The arguments after the given position, as pairs of name and value.
local function named_arguments(from)
    local found = {}
    for at = from, #ARGV, 2 do
        found[ARGV[at]] = ARGV[at + 1]
    end
    return found
end

-- Extends the lifetime of a key to at least ttl_ms.
local function extend_ttl(name, ttl_ms)
    if redis.call('PTTL', name) < tonumber(ttl_ms) then
        redis.call('PEXPIRE', name, ttl_ms)
    end
end

-- Two indices, of all users and of one user: the ids of a kind, sorted by their expiry.
local function all(kind)
    return prefix .. 'all:' .. kind
end

local function of(user, kind)
    return prefix .. 'of:' .. kind .. ':' .. user
end

-- A Redis with eviction can delete only the index of a user. A record outside of the index could
-- not be ended together with the user, so it counts as deleted.
local function is_listed(kind, id, user)
    return redis.call('ZSCORE', of(user, kind), id)
end

local function put(kind, id, user, expires_ms, ttl_ms, ...)
    local record = key(kind, id)
    redis.call('HSET', record, 'expires_ms', expires_ms, 'user', user, ...)
    redis.call('PEXPIRE', record, ttl_ms)
    for _, index in ipairs(user ~= '' and { all(kind), of(user, kind) } or { all(kind) }) do
        redis.call('ZADD', index, expires_ms, id)
        extend_ttl(index, ttl_ms)
    end
end

-- The number of deleted records: 1 or 0.
local function delete(kind, id)
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

-- Checks the limits before a session of user replaces the session before. If a limit is reached,
-- returns which one ('user' or 'all'), and when the first of its sessions expires.
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
