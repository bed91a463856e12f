-- Decide what becomes of a request for a build.
-- ARGV: name, digest of its inputs, "1" if forced, caller, the most that may be unfinished,
--       the image that is there already or "", its image, ttl in ms, head and tail of the log in
--       bytes, repository, source, commit, dependencies, where the
--       service is found; then lines for its log, each after a "".
-- Returns {"joined", "busy", "full" or "new", the record}.
local name, inputs, forced, caller, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local there, image, ttl_ms = ARGV[6], ARGV[7], ARGV[8]
local latest = latest_build(name)
local f = latest and redis.call('HMGET', build_key(latest), 'outcome', 'inputs', 'forced', 'cancel')
if f and f[1] == 'running' then
  local is_same = f[2] == inputs and not f[4] and (forced == '0' or f[3] == '1')
  if not is_same then return {'busy', {}} end
  return {'joined', redis.call('HGETALL', build_key(latest))}
end
if there == '' and waiting_builds() + redis.call('ZCARD', P .. 'builds:running') >= most then
  return {'full', {}}
end

-- The clock keeps the ids rising even when the store was emptied.
local id = math.max(tonumber(redis.call('GET', P .. 'builds:sequence') or 0) + 1, math.floor(now / 1000))
id = string.format('%.0f', id)
redis.call('SET', P .. 'builds:sequence', id)
-- What the last build made stays: it is in use until this one succeeds.
if forced == '1' then image = image .. '-' .. id end
if there ~= '' then image = there end
redis.call('HSET', build_key(id), 'id', id, 'name', name, 'inputs', inputs, 'forced', forced,
  'caller', caller, 'repository', ARGV[11], 'source', ARGV[12], 'commit', ARGV[13],
  'dependencies', ARGV[14], 'asked', ARGV[14], 'outcome', 'running', 'stage', 'queued', 'step', 0, 'steps', 0,
  'image', image, 'service_url', ARGV[15], 'started_at', now, 'tries', 0)
redis.call('HSET', P .. 'builds:latest', name, id)
append_lines(id, tonumber(ARGV[9]), tonumber(ARGV[10]), 16)
if there ~= '' then
  end_build(id, 'completed', '', ttl_ms)
else
  if redis.call('RPUSH', line_key(caller), id) == 1 then
    redis.call('RPUSH', P .. 'builds:turns', caller)
  end
  stir_builds(id)
end
return {'new', redis.call('HGETALL', build_key(id))}
