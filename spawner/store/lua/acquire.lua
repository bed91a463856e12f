-- Hand out a spare, or take a place in the queue, within all limits.
-- ARGV: template, ticket, size, "1" to remember the ticket though a spare is there; the caller or "",
--       the window of its launches in ms, the most launches in it, the most it may have at once,
--       the most of this template; the most that all callers may have: each "" for no limit;
--       the ms after which it is culled unused or "", "1" for a launch that lasts.
-- Returns {outcome, place, the environment's record}; for a limit
-- {'limited', ms until it is over or 0 where nobody knows, {its name, how much it allows}}.
local template, ticket, size, remember = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local caller, window = ARGV[5], tonumber(ARGV[6])
local held = redis.call('HMGET', ticket_key(ticket), 'template', 'environment')
if held[1] then
  if held[1] ~= template then return {'reused', 0, {}} end
  if redis.call('ZSCORE', P .. 'tickets', ticket) then ask(ticket) end
  return {'held', place(template, ticket), record(held[2])}
end

if is_draining() then return {'draining', 0, {}} end

local function live(key)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  return redis.call('ZCARD', key)
end

local function in_use()
  local sum = 0
  for _, name in ipairs(redis.call('SMEMBERS', P .. 'templates')) do
    sum = sum + count(name, 'assigned') + redis.call('ZCARD', queue_key(name))
  end
  return sum
end

-- Until enough launches are out of the window for one more; nil if there is room.
local function ms_to_next_launch(most)
  local key = launches_key(caller)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
  local over = redis.call('ZCARD', key) - most
  if over < 0 then return nil end
  return tonumber(redis.call('ZRANGE', key, over, over, 'WITHSCORES')[2]) + window - now
end

-- Only what is limited is counted.
local function reached()
  local launches, environments = tonumber(ARGV[7]), tonumber(ARGV[8])
  local of_template, total = tonumber(ARGV[9]), tonumber(ARGV[10])
  if caller ~= '' then
    if environments and live(live_key(caller)) >= environments then
      return 'environments', environments, 0
    end
    if of_template and live(live_key(caller, template)) >= of_template then
      return 'template', of_template, 0
    end
    local wait = launches and ms_to_next_launch(launches)
    if wait then return 'launches_per_hour', launches, wait end
  end
  if total and in_use() >= total then return 'total', total, 0 end
end

local name, allowed, wait = reached()
if name then return {'limited', wait, {name, allowed}} end

-- Also where there are spares: those of a pool that was made smaller are not handed out any more.
local taken = count(template, 'assigned') + count(template, 'draining') + count(template, 'failed')
if taken + redis.call('ZCARD', queue_key(template)) >= size then return {'full', 0, {}} end
local spare = redis.call('ZRANGE', phase_key(template, 'ready'), 0, 0)[1]

if caller ~= '' then
  hold(caller, template, ticket, now + TICKET_S * 1000)
  if ARGV[7] ~= '' then
    redis.call('ZADD', launches_key(caller), now, ticket)
    redis.call('PEXPIRE', launches_key(caller), window)
  end
end
if not spare or remember == '1' then
  redis.call('HSET', ticket_key(ticket), 'template', template, 'environment', '', 'caller', caller,
    'since', now, 'idle', ARGV[11], 'lasting', ARGV[12])
  redis.call('EXPIRE', ticket_key(ticket), TICKET_S)
  ask(ticket)
end
if spare then
  if remember == '1' then
    assign(spare, ticket)
  else
    settle(caller, template, ticket, spare)
    if ARGV[11] ~= '' then redis.call('HSET', record_key(spare), 'idle', ARGV[11]) end
    move(spare, 'assigned')
  end
  return {'assigned', 0, record(spare)}
end
redis.call('ZADD', queue_key(template), redis.call('INCR', P .. 'sequence'), ticket)
redis.call('SADD', P .. 'templates', template)
stir(template)
return {'waiting', place(template, ticket), {}}
