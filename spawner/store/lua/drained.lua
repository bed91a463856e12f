-- Say how a drain goes, and note its end: nothing is left, and nobody waits.
-- ARGV: "1" for a process that starts, for which a drain that has ended is over.
-- Returns {state, when that began, the last drain that ended, environments, launches that wait}.
local key = P .. 'drain'
local environments, waiting = 0, 0
for _, template in ipairs(redis.call('SMEMBERS', P .. 'templates')) do
  environments = environments + present(template)
  waiting = waiting + redis.call('ZCARD', queue_key(template))
end
local f = redis.call('HMGET', key, 'state', 'number')
if f[1] == 'on' and environments + waiting == 0 then
  redis.call('HSET', key, 'state', 'done', 'at', now, 'done', f[2])
end
if ARGV[1] == '1' and redis.call('HGET', key, 'state') == 'done' then
  redis.call('HSET', key, 'state', 'off', 'at', now)
end
f = redis.call('HMGET', key, 'state', 'at', 'done')
return {f[1] or 'off', tonumber(f[2] or 0), tonumber(f[3] or 0), environments, waiting}
