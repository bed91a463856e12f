-- Keep a recipe. ARGV: name, recipe, the version that it replaces ('' whatever, 0 none).
-- Returns what became of it, and the version that now stands there.
local kept = redis.call('HGET', P .. 'recipes', ARGV[1])
local version = kept and tonumber(string.match(kept, '^%d+')) or 0
if ARGV[3] ~= '' and tonumber(ARGV[3]) ~= version then return {'other', version} end
version = redis.call('INCR', P .. 'recipes:sequence')
redis.call('HSET', P .. 'recipes', ARGV[1], version .. ' ' .. ARGV[2])
redis.call('PUBLISH', P .. 'recipes:changed', ARGV[1])
return {'done', version}
