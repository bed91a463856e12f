-- Note that a start failed, and when to try again. ARGV: template, reason, first and longest wait in ms.
-- Failures of one burst count once: only the first after a try was due makes the wait longer.
local key = trouble_key(ARGV[1])
local f = redis.call('HMGET', key, 'failures', 'retry_at')
local failures, retry_at = tonumber(f[1] or 0), tonumber(f[2] or 0)
redis.call('HSET', key, 'reason', ARGV[2])
if now >= retry_at then
  local wait = math.min(tonumber(ARGV[3]) * 2 ^ math.min(failures, 30), tonumber(ARGV[4]))
  redis.call('HSET', key, 'failures', failures + 1, 'retry_at', now + math.floor(wait))
end
redis.call('EXPIRE', key, DAY_S)
stir(ARGV[1])
return 1
