-- Give the right back. ARGV: name, holder.
local key = P .. 'lease:' .. ARGV[1]
if redis.call('HGET', key, 'holder') ~= ARGV[2] then return 0 end
redis.call('HSET', key, 'holder', '', 'until', 0)
return 1
