-- The fence (PROTOCOL 20.1). KEYS[1] is its record; ARGV[1] a generation that nobody has seen, and
-- the others are those that the gateway has left, to which it does not go back.
--
-- A server has another master_replid after every start and after every promotion, in which what
-- was acknowledged may have been lost: then a new generation begins. It also takes another when
-- its first replica comes, and an hour after the last has gone. Nothing is lost by that, and it is
-- told by this: the process is the same, its history has no other before it, and it has never
-- been fed by a master since.

local history = redis.call('INFO', 'replication')
if not string.find(history, 'role:master', 1, true) then
    return redis.error_reply('READONLY this is a replica')
end
local replid = string.match(history, 'master_replid:(%x+)')
if not replid or not string.find(replid, '[^0]') then
    return redis.error_reply('NOHISTORY this server does not tell its master_replid')
end
local whole = string.match(history, 'master_replid2:0+%s') ~= nil
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
local fed = string.match(redis.call('INFO', 'stats'), 'total_net_repl_input_bytes:(%d+)') or ''

local kept = redis.call('HMGET', KEYS[1], 'generation', 'replid', 'run_id', 'fed')
local same = kept[1] and kept[2] == replid
local followed = kept[1] and whole
    and run_id ~= '' and kept[3] == run_id and fed ~= '' and kept[4] == fed
local generation = (same or followed) and kept[1] or ARGV[1]
for at = 2, #ARGV do
    if generation == ARGV[at] then
        generation = ARGV[1]
    end
end
if not same or generation ~= kept[1] then
    redis.call('HSET', KEYS[1],
        'generation', generation, 'replid', replid, 'run_id', run_id, 'fed', fed)
end
return generation
