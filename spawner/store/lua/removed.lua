-- Note that nothing of an environment is left: its place is free.
-- ARGV: id, fence. Returns 1, or 0 if it was not ending.
local id, fence = ARGV[1], ARGV[2]
if is_fenced(fence) then return redis.error_reply('FENCED') end
local f = redis.call('HMGET', record_key(id), 'phase', 'template', 'host', 'port')
if f[1] ~= 'draining' and f[1] ~= 'failed' then return 0 end
if f[3] then
  local address = f[3] .. ' ' .. f[4]
  if redis.call('HGET', P .. 'addresses', address) == id then
    redis.call('HDEL', P .. 'addresses', address)
  end
end
if f[1] == 'draining' then
  move(id, 'stopped')
else
  redis.call('ZREM', phase_key(f[2], 'failed'), id)
  publish(id)
end
redis.call('HSET', record_key(id), 'ended_at', now)
if field(id, 'assigned_at') then note_end(id) end
local ticket = field(id, 'ticket')
if ticket and redis.call('HGET', ticket_key(ticket), 'environment') == id then
  redis.call('ZREM', P .. 'tickets', ticket)
  redis.call('EXPIRE', ticket_key(ticket), DAY_S)
end
redis.call('EXPIRE', record_key(id), DAY_S)
return 1
