-- Keep a recipe no more. ARGV: name, the version that is meant ('' whatever).
-- Returns what became of it.
local kept = redis.call('HGET', P .. 'recipes', ARGV[1])
if not kept then return 'missing' end
if ARGV[2] ~= '' and tonumber(ARGV[2]) ~= tonumber(string.match(kept, '^%d+')) then
  return 'other'
end
redis.call('HDEL', P .. 'recipes', ARGV[1])
redis.call('PUBLISH', P .. 'recipes:changed', ARGV[1])
return 'done'
