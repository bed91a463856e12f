-- Keep a recipe. ARGV: name, recipe as a JSON object, the version that it replaces ('' whatever,
-- 0 none), "1" if its pool alone is another.
-- Returns what became of it, the version that now stands there, when its template was first put
-- and when last (ms). Those stand first in the object, where they are found without reading it.
local kept = redis.call('HGET', P .. 'recipes', ARGV[1])
local version = kept and tonumber(string.match(kept, '^%d+')) or 0
local created, modified = string.match(kept or '', '^%d+ {"created_at":(%d+),"modified_at":(%d+),')
created, modified = created or now, modified or now
if ARGV[3] ~= '' and tonumber(ARGV[3]) ~= version then return {'other', version, created, modified} end
if ARGV[4] ~= '1' then modified = now end
version = redis.call('INCR', P .. 'recipes:sequence')
local times = string.format('{"created_at":%.0f,"modified_at":%.0f,', created, modified)
redis.call('HSET', P .. 'recipes', ARGV[1], version .. ' ' .. times .. string.sub(ARGV[2], 2))
redis.call('PUBLISH', P .. 'recipes:changed', ARGV[1])
return {'done', version, created, modified}
