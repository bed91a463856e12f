-- Take what is to be built now: first what nobody builds any more, then what waits, in turns.
-- ARGV: fence, how many at once, then the ids that the caller builds.
-- Returns {records to build, ids of the caller's that are to end}.
local fence, at_once = ARGV[1], tonumber(ARGV[2])
if is_fenced(fence) then return redis.error_reply('FENCED') end
local mine, going, unwanted, taken = {}, #ARGV - 2, {}, {}
for i = 3, #ARGV do
  mine[ARGV[i]] = true
  local f = redis.call('HMGET', build_key(ARGV[i]), 'outcome', 'cancel')
  if f[1] ~= 'running' or f[2] then table.insert(unwanted, ARGV[i]) end
end

local function take(id)
  redis.call('ZADD', P .. 'builds:running', 'NX', now, id)
  redis.call('HINCRBY', build_key(id), 'tries', 1)
  table.insert(taken, redis.call('HGETALL', build_key(id)))
  going = going + 1
end

for _, id in ipairs(redis.call('ZRANGE', P .. 'builds:running', 0, -1)) do
  if redis.call('EXISTS', build_key(id)) == 0 then
    redis.call('ZREM', P .. 'builds:running', id)
  elseif not mine[id] and going < at_once then
    take(id)
  end
end
while redis.call('ZCARD', P .. 'builds:running') < at_once do
  local caller = redis.call('LPOP', P .. 'builds:turns')
  if not caller then break end
  local id = redis.call('LPOP', line_key(caller))
  if redis.call('LLEN', line_key(caller)) > 0 then redis.call('RPUSH', P .. 'builds:turns', caller) end
  if id and redis.call('EXISTS', build_key(id)) == 1 then take(id) end
end
return {taken, unwanted}
