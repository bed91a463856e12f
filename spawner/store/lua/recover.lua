-- Write the record of an environment that the backend has and the store has never heard of.
-- ARGV: id, template, digest, auth, host, port, fence, base path. Returns 1, or 0 if there is a record.
-- Its version begins above all that routers may remember of the lost record.
-- It counts as handed out: nobody can tell any more, and a used one must never go to another visitor.
local id, template, fence = ARGV[1], ARGV[2], ARGV[7]
if is_fenced(fence) then return redis.error_reply('FENCED') end
if redis.call('EXISTS', record_key(id)) == 1 then return 0 end
redis.call('HSET', record_key(id), 'id', id, 'template', template, 'digest', ARGV[3],
  'auth', ARGV[4], 'base_path', ARGV[8], 'phase', 'ready', 'version', now, 'created_at', now, 'phase_at', now,
  'fence', fence, 'host', ARGV[5], 'port', ARGV[6])
redis.call('HSET', P .. 'addresses', ARGV[5] .. ' ' .. ARGV[6], id)
redis.call('SADD', P .. 'templates', template)
move(id, 'assigned')
return 1
