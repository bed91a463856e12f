-- Count pools at one instant. ARGV: templates. Returns for each
-- {counts in the order of PHASES, waiting, failures, reason, ms to the next try, progress}.
local answer = {}
for _, template in ipairs(ARGV) do
  local counts = {}
  for i, phase in ipairs(PHASES) do counts[i] = count(template, phase) end
  local f = redis.call('HMGET', trouble_key(template), 'failures', 'reason', 'retry_at')
  table.insert(answer, {counts, redis.call('ZCARD', queue_key(template)), tonumber(f[1] or 0),
    f[2] or '', math.max(0, tonumber(f[3] or 0) - now), redis.call('GET', P .. 'progress:' .. template) or ''})
end
return answer
