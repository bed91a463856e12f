-- Give the records of the latest build of each name, and forget the names whose record is gone.
local found = {}
local latest = redis.call('HGETALL', P .. 'builds:latest')
for i = 1, #latest, 2 do
  local record = redis.call('HGETALL', build_key(latest[i + 1]))
  if #record == 0 then
    redis.call('HDEL', P .. 'builds:latest', latest[i])
  else
    table.insert(found, record)
  end
end
return found
