-- Say that a process is there, and with which settings. ARGV: its name, the facts as JSON, for how many ms.
-- Returns {name, facts} of each other one that is there, one after the other.
local key = P .. 'replicas'
redis.call('HSET', key, ARGV[1], cjson.encode({now + tonumber(ARGV[3]), ARGV[2]}))
local others, all = {}, redis.call('HGETALL', key)
for i = 1, #all, 2 do
  local entry = cjson.decode(all[i + 1])
  if entry[1] < now then
    redis.call('HDEL', key, all[i])
  elseif all[i] ~= ARGV[1] then
    table.insert(others, all[i])
    table.insert(others, entry[2])
  end
end
return others
