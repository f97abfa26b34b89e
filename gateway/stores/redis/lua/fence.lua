-- The fence (STORAGE 3). KEYS[1] is its record. ARGV[1] is a new generation; the other arguments
-- are generations that the gateway has left and must not use again.
--
-- A server has a new master_replid after every start and every promotion. Both can lose
-- acknowledged data, so a new generation begins. The master_replid also changes when the first
-- replica connects, and an hour after the last one has gone, but then nothing is lost. In that case
-- the process is still the same, its history has no predecessor, and it has received no data from a
-- master since.

local history = redis.call('INFO', 'replication')
if not string.find(history, 'role:master', 1, true) then
    return redis.error_reply('READONLY this is a replica')
end
local replid = string.match(history, 'master_replid:(%x+)')
if not replid or not string.find(replid, '[^0]') then
    return redis.error_reply('NOHISTORY this server does not report its master_replid')
end
local is_first = string.match(history, 'master_replid2:0+%s') ~= nil
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
local stats = redis.call('INFO', 'stats')
local input_bytes = string.match(stats, 'total_net_repl_input_bytes:(%d+)') or ''

local stored = redis.call('HMGET', KEYS[1], 'generation', 'replid', 'run_id', 'fed')
local same = stored[1] and stored[2] == replid
local followed = stored[1] and is_first
    and run_id ~= '' and stored[3] == run_id and input_bytes ~= '' and stored[4] == input_bytes
local generation = (same or followed) and stored[1] or ARGV[1]
for at = 2, #ARGV do
    if generation == ARGV[at] then
        generation = ARGV[1]
    end
end
if not same or generation ~= stored[1] then
    redis.call('HSET', KEYS[1],
        'generation', generation, 'replid', replid, 'run_id', run_id, 'fed', input_bytes)
end
return generation
