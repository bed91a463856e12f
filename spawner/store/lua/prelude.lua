-- Shared by every script, and put before each. KEYS[1] is the prefix of all keys of
-- the instance; spawner/store/keys.py documents them. Time is Redis' own, in ms.
local P = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local DAY_S = 86400
local TICKET_S = 3600
local TICKET_LAPSE_MS = 30000
-- So much longer a lasting launch goes on though nobody asks: ten minutes in all.
local LASTING_MS = 570000
local PHASES = {'creating', 'starting', 'ready', 'assigned', 'draining', 'failed'}
-- spawner/lifecycle.py holds the same table; a test compares them.
local FOLLOWERS = {
  creating = {starting = true, draining = true, failed = true},
  starting = {ready = true, assigned = true, draining = true, failed = true},
  ready = {assigned = true, draining = true, failed = true},
  assigned = {draining = true, failed = true},
  draining = {stopped = true},
  failed = {},
  stopped = {},
}

local function record_key(id) return P .. 'env:' .. id end
local function phase_key(template, phase) return P .. 'in:' .. template .. ':' .. phase end
local function queue_key(template) return P .. 'queue:' .. template end
local function ticket_key(ticket) return P .. 'ticket:' .. ticket end
local function trouble_key(template) return P .. 'trouble:' .. template end
local function field(id, name) return redis.call('HGET', record_key(id), name) end
local function record(id)
  if not id or id == '' then return {} end
  return redis.call('HGETALL', record_key(id))
end
local function count(template, phase) return redis.call('ZCARD', phase_key(template, phase)) end

local function present(template)
  local sum = 0
  for _, phase in ipairs(PHASES) do sum = sum + count(template, phase) end
  return sum
end

-- Everything that a router or a waiting launch has to know of a change.
local function publish(id, ticket)
  local f = redis.call('HMGET', record_key(id),
    'phase', 'version', 'template', 'host', 'port', 'auth', 'reason')
  redis.call('PUBLISH', P .. 'events', cjson.encode({
    id = id, phase = f[1], version = tonumber(f[2]), template = f[3], host = f[4] or '',
    port = tonumber(f[5] or 0), auth = f[6], reason = f[7] or '', ticket = ticket or ''}))
end

-- What counts for a caller: the ids of its environments and of its tickets that wait, in all and
-- by template. Ids and not numbers, so that nothing can be counted twice or be left over.
local function live_key(caller, template)
  return P .. 'live:' .. caller .. (template and ':' .. template or '')
end
local function launches_key(caller) return P .. 'launches:' .. caller end

local function hold(caller, template, id, last)
  redis.call('ZADD', live_key(caller), last, id)
  redis.call('ZADD', live_key(caller, template), last, id)
end

local function let_go(caller, template, id)
  redis.call('ZREM', live_key(caller), id)
  redis.call('ZREM', live_key(caller, template), id)
end

-- The environment counts from now on, and the ticket no more; the launch was when it was asked for.
local function settle(caller, template, ticket, id)
  if not caller or caller == '' then return end
  redis.call('HSET', record_key(id), 'caller', caller)
  hold(caller, template, id, '+inf')
  let_go(caller, template, ticket)
  local at = redis.call('ZSCORE', launches_key(caller), ticket)
  if not at then return end
  redis.call('ZADD', launches_key(caller), at, id)
  redis.call('ZREM', launches_key(caller), ticket)
end

-- The one place that changes a phase. Returns false if the table forbids it.
local function move(id, to, ticket)
  local f = redis.call('HMGET', record_key(id), 'phase', 'template', 'caller')
  local from, template, caller = f[1], f[2], f[3]
  if not from or not FOLLOWERS[from][to] then return false end
  redis.call('ZREM', phase_key(template, from), id)
  redis.call('HINCRBY', record_key(id), 'version', 1)
  redis.call('HSET', record_key(id), 'phase', to, 'phase_at', now)
  if to ~= 'stopped' then redis.call('ZADD', phase_key(template, to), now, id) end
  if from == 'assigned' and caller then
    let_go(caller, template, id)
    redis.call('HDEL', record_key(id), 'caller')
  end
  if to == 'assigned' then
    -- Idle is measured from hand-out, however long it was a spare.
    redis.call('HSET', record_key(id), 'assigned_at', now,
      'http', now, 'ws_in', now, 'ws_out', now, 'control', now)
  end
  publish(id, ticket)
  return true
end

local function finish(id, to, reason)
  redis.call('HSET', record_key(id), 'reason', reason)
  return move(id, to)
end

-- A loop that was overtaken while it slept must not write any more.
local function is_fenced(fence)
  return fence ~= '' and redis.call('HGET', P .. 'lease:keeper', 'fence') ~= fence
end

-- Whoever has a place keeps it; nobody else gets one (drain.lua).
local function is_draining()
  local state = redis.call('HGET', P .. 'drain', 'state')
  return state == 'on' or state == 'done'
end

local function place(template, ticket)
  local rank = redis.call('ZRANK', queue_key(template), ticket)
  return rank and rank + 1 or 0
end

-- Somebody asks for a launch: it is not given up for a while. A lasting one that has its
-- environment is not given up at all: that one is ended when nobody uses it.
local function ask(ticket)
  local f = redis.call('HMGET', ticket_key(ticket), 'lasting', 'environment')
  if f[1] ~= '1' then redis.call('ZADD', P .. 'tickets', now, ticket) return end
  if f[2] ~= '' then return end
  redis.call('ZADD', P .. 'tickets', now + LASTING_MS, ticket)
  redis.call('EXPIRE', ticket_key(ticket), TICKET_S)
end

-- What ended is listed for a day.
local function note_end(id)
  redis.call('ZREMRANGEBYSCORE', P .. 'ended', '-inf', now - DAY_S * 1000)
  redis.call('ZADD', P .. 'ended', now, id)
end

local function assign(id, ticket)
  local f = redis.call('HMGET', ticket_key(ticket), 'template', 'caller', 'idle', 'lasting')
  redis.call('HSET', ticket_key(ticket), 'environment', id)
  settle(f[2], f[1], ticket, id)
  if f[3] and f[3] ~= '' then redis.call('HSET', record_key(id), 'idle', f[3]) end
  if f[4] == '1' then
    redis.call('HSET', record_key(id), 'ticket', ticket)
    redis.call('ZADD', P .. 'tickets', '+inf', ticket)
    redis.call('PERSIST', ticket_key(ticket))
  end
  move(id, 'assigned', ticket)
end

-- Give up a launch: its place, and the environment that nobody fetched. One that only waited was
-- no launch; one that had an environment has used it up, and stays counted for its hour. Why a
-- lasting one was given up is told for a day.
local function cancel(ticket, reason)
  local f = redis.call('HMGET', ticket_key(ticket), 'template', 'environment', 'caller', 'lasting', 'ended')
  redis.call('ZREM', P .. 'tickets', ticket)
  if not f[1] or f[5] then return end
  if f[3] then
    let_go(f[3], f[1], ticket)
    redis.call('ZREM', launches_key(f[3]), ticket)
  end
  redis.call('ZREM', queue_key(f[1]), ticket)
  if f[4] == '1' then
    redis.call('HSET', ticket_key(ticket), 'ended', reason)
    redis.call('EXPIRE', ticket_key(ticket), DAY_S)
    if f[2] == '' then note_end(ticket) end
  else
    redis.call('DEL', ticket_key(ticket))
  end
  if f[2] and f[2] ~= '' then finish(f[2], 'draining', reason) end
end

-- Wake whoever plans pools or shows places in the queue.
local function stir(template)
  redis.call('PUBLISH', P .. 'events', cjson.encode({id = '', template = template}))
end

-- Builds (build_*.lua): those that wait stand in a list of their caller, and callers take turns.
local function build_key(id) return P .. 'build:' .. id end
local function build_log_key(id) return P .. 'build:' .. id .. ':log' end
local function line_key(caller) return P .. 'builds:waiting:' .. caller end
local function latest_build(name) return redis.call('HGET', P .. 'builds:latest', name) end

local function waiting_builds()
  local sum = 0
  for _, caller in ipairs(redis.call('LRANGE', P .. 'builds:turns', 0, -1)) do
    sum = sum + redis.call('LLEN', line_key(caller))
  end
  return sum
end

-- Add lines from ARGV[first] on, each a number and an entry, to a build's log; "" numbers one by
-- itself. A number that was written before is passed over, so a batch may be sent twice. Of more
-- than head and tail bytes the oldest of the tail go; readers see that by the gap in the numbers.
local function append_lines(id, head, tail, first)
  local key, log = build_key(id), build_log_key(id)
  local f = redis.call('HMGET', key, 'last', 'head_bytes', 'tail_bytes', 'tail_first')
  local last, head_bytes, tail_bytes = tonumber(f[1] or 0), tonumber(f[2] or 0), tonumber(f[3] or 0)
  local tail_first = tonumber(f[4] or 0)
  for i = first, #ARGV, 2 do
    local number, entry = tonumber(ARGV[i]) or last + 1, ARGV[i + 1]
    if number > last then
      redis.call('XADD', log, number .. '-0', 'e', entry, 't', now)
      last = number
      if tail_first == 0 and head_bytes + #entry <= head then
        head_bytes = head_bytes + #entry
      else
        if tail_first == 0 then tail_first = number end
        tail_bytes = tail_bytes + #entry
      end
    end
  end
  while tail_bytes > tail do
    local oldest = redis.call('XRANGE', log, tail_first .. '-0', '+', 'COUNT', 1)[1]
    if not oldest then break end
    tail_bytes = tail_bytes - #oldest[2][2]
    redis.call('XDEL', log, oldest[1])
    tail_first = tonumber(string.match(oldest[1], '^%d+')) + 1
  end
  redis.call('HSET', key, 'last', last, 'head_bytes', head_bytes, 'tail_bytes', tail_bytes,
    'tail_first', tail_first)
end

local function stir_builds(id) redis.call('PUBLISH', P .. 'builds:changed', id) end

-- The one place that ends a build; its record and its log are kept for so long.
local function end_build(id, outcome, error, ttl_ms)
  local key = build_key(id)
  local caller = redis.call('HGET', key, 'caller')
  redis.call('HSET', key, 'outcome', outcome, 'stage', 'finished', 'error', error, 'ended_at', now)
  redis.call('ZREM', P .. 'builds:running', id)
  redis.call('LREM', line_key(caller), 0, id)
  if redis.call('LLEN', line_key(caller)) == 0 then redis.call('LREM', P .. 'builds:turns', 0, caller) end
  redis.call('PEXPIRE', key, ttl_ms)
  redis.call('PEXPIRE', build_log_key(id), ttl_ms)
  stir_builds(id)
end
