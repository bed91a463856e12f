-- Note how far a build is, and what it said.
-- ARGV: id, fence, head and tail of the log in bytes, stage, step, steps, dependencies used or "";
--       then lines, each a number and an entry.
-- One that has ended, or was forgotten, stays as it is.
local id, fence = ARGV[1], ARGV[2]
if is_fenced(fence) then return redis.error_reply('FENCED') end
if redis.call('HGET', build_key(id), 'outcome') ~= 'running' then return 0 end
redis.call('HSET', build_key(id), 'stage', ARGV[5], 'step', ARGV[6], 'steps', ARGV[7])
if ARGV[8] ~= '' then redis.call('HSET', build_key(id), 'dependencies', ARGV[8]) end
append_lines(id, tonumber(ARGV[3]), tonumber(ARGV[4]), 9)
stir_builds(id)
return 1
