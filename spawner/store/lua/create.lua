-- Record an environment before anything of it exists, if its pool has room.
-- ARGV: id, template, digest, auth, size, fence, base path. Returns 1, or 0 for no room.
local id, template, size, fence = ARGV[1], ARGV[2], tonumber(ARGV[5]), ARGV[6]
if is_fenced(fence) then return redis.error_reply('FENCED') end
if present(template) >= size then return 0 end
redis.call('HSET', record_key(id), 'id', id, 'template', template, 'digest', ARGV[3],
  'auth', ARGV[4], 'base_path', ARGV[7], 'phase', 'creating', 'version', 1, 'created_at', now, 'phase_at', now,
  'fence', fence)
redis.call('ZADD', phase_key(template, 'creating'), now, id)
redis.call('SADD', P .. 'templates', template)
publish(id)
return 1
