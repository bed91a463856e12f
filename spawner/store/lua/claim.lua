-- Take or renew the exclusive right to act. ARGV: name, holder, ttl in ms, a holder known to be dead or "".
-- Returns {fence, holder}; fence 0 if another holds it.
local key, holder = P .. 'lease:' .. ARGV[1], ARGV[2]
local f = redis.call('HMGET', key, 'holder', 'fence', 'until')
local is_held = f[1] and f[1] ~= '' and tonumber(f[3]) > now
if is_held and f[1] ~= holder and f[1] ~= ARGV[4] then return {0, f[1]} end
local fence = f[2]
if not (is_held and f[1] == holder) then
  -- The clock keeps the sequence rising even when the store was emptied.
  fence = math.max(now, tonumber(f[2] or 0) + 1)
end
redis.call('HSET', key, 'holder', holder, 'fence', string.format('%.0f', fence), 'until', now + tonumber(ARGV[3]))
return {tonumber(fence), holder}
