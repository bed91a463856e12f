-- End a build that waits, or have the one that runs it end it.
-- ARGV: name, ttl in ms, head and tail of the log in bytes, "", the line that says so.
-- Returns 1, or 0 if there is none to end.
local id = latest_build(ARGV[1])
if not id or redis.call('HGET', build_key(id), 'outcome') ~= 'running' then return 0 end
if redis.call('ZSCORE', P .. 'builds:running', id) then
  redis.call('HSET', build_key(id), 'cancel', 1)
  stir_builds(id)
else
  append_lines(id, tonumber(ARGV[3]), tonumber(ARGV[4]), 5)
  end_build(id, 'cancelled', '', ARGV[2])
end
return 1
