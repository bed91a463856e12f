-- End a build that was taken. ARGV: id, fence, outcome, error, ttl in ms.
-- Returns the record, empty if it was ended or forgotten already.
local id = ARGV[1]
if is_fenced(ARGV[2]) then return redis.error_reply('FENCED') end
if redis.call('HGET', build_key(id), 'outcome') ~= 'running' then return {} end
end_build(id, ARGV[3], ARGV[4], ARGV[5])
return redis.call('HGETALL', build_key(id))
