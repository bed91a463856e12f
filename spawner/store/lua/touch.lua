-- Note activity. ARGV: for each environment its id and the ages in ms of its
-- four clocks (http, ws_in, ws_out, control), "" for one that did not tick.
local CLOCKS = {'http', 'ws_in', 'ws_out', 'control'}
for i = 1, #ARGV, 5 do
  local key = record_key(ARGV[i])
  if redis.call('HGET', key, 'phase') == 'assigned' then
    for j, name in ipairs(CLOCKS) do
      local age = ARGV[i + j]
      if age ~= '' then
        local at = now - tonumber(age)
        if at > tonumber(redis.call('HGET', key, name) or 0) then redis.call('HSET', key, name, at) end
      end
    end
  end
end
return 1
