-- Forget a build that has ended, and its log. ARGV: name. Returns 1, or 0 if there is none.
local id = latest_build(ARGV[1])
if not id or redis.call('HGET', build_key(id), 'outcome') == 'running' then return 0 end
local had = redis.call('DEL', build_key(id), build_log_key(id))
redis.call('HDEL', P .. 'builds:latest', ARGV[1])
return had > 0 and 1 or 0
