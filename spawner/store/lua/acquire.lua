-- Hand out a spare, or take a place in the queue.
-- ARGV: template, ticket, size, "1" to remember the ticket though a spare is there.
-- Returns {outcome, place, the environment's record}.
local template, ticket, size, remember = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local held = redis.call('HMGET', ticket_key(ticket), 'template', 'environment')
if held[1] then
  if held[1] ~= template then return {'reused', 0, {}} end
  if redis.call('ZSCORE', P .. 'tickets', ticket) then
    redis.call('ZADD', P .. 'tickets', now, ticket)
  end
  return {'held', place(template, ticket), record(held[2])}
end

local spare = redis.call('ZRANGE', phase_key(template, 'ready'), 0, 0)[1]
if not spare then
  local taken = count(template, 'assigned') + count(template, 'draining') + count(template, 'failed')
  if taken + redis.call('ZCARD', queue_key(template)) >= size then return {'full', 0, {}} end
end

if not spare or remember == '1' then
  redis.call('HSET', ticket_key(ticket), 'template', template, 'environment', '')
  redis.call('EXPIRE', ticket_key(ticket), TICKET_S)
  redis.call('ZADD', P .. 'tickets', now, ticket)
end
if spare then
  if remember == '1' then assign(spare, ticket) else move(spare, 'assigned') end
  return {'assigned', 0, record(spare)}
end
redis.call('ZADD', queue_key(template), redis.call('INCR', P .. 'sequence'), ticket)
redis.call('SADD', P .. 'templates', template)
stir(template)
return {'waiting', place(template, ticket), {}}
