-- Note what a build is about to write into its template. ARGV: name, fence, the value as JSON.
-- Returns what builds wrote, or were about to, before.
local key = P .. 'builds:made:' .. ARGV[1]
if is_fenced(ARGV[2]) then return redis.error_reply('FENCED') end
local before = redis.call('LRANGE', key, 0, -1)
if before[1] ~= ARGV[3] then
  redis.call('LPUSH', key, ARGV[3])
  redis.call('LTRIM', key, 0, 3)
end
return before
